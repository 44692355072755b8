"""Signal operations on whole batches: filters, resampling, normalisation, alignment, augmentation."""
