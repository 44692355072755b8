#!/usr/bin/env bash
# Build containers/compute.sif aside, test it, and put it in its place. make images calls this.
# BASE=docker takes the base from a registry; BASE=debootstrap makes one from the mirror that apt uses, as root.
# SSL_CERT_FILE, where it is set, names the certificates to trust. APPTAINER_TMPDIR wants 15 GB.
set -euo pipefail
cd "$(dirname "$0")/.."
BASE=${BASE:-docker}
version=$(python3 -c 'import unimontage; print(unimontage.__version__)')
aside=$(mktemp -d containers/.building-XXXXXX)
trap 'rm -rf "$aside"' EXIT

arguments=(--build-arg "VERSION=$version")
if [ -n "${SSL_CERT_FILE:-}" ]; then
    mkdir "$aside/mnt"
    cp "$SSL_CERT_FILE" "$aside/mnt/ca.crt"
    arguments+=(--bind "$PWD/$aside/mnt:/mnt")
fi
case $BASE in
docker) ;;
debootstrap)
    # shellcheck disable=SC2016
    targets=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' || true)
    mirror=$(awk '$2 == "bookworm" && $3 == "main" && !found++ {print $1}' <<< "$targets")
    apptainer build ${mirror:+--build-arg "MIRROR=$mirror"} "$aside/base.sif" containers/base-debian.def
    arguments+=(--build-arg BOOTSTRAP=localimage --build-arg "FROM=$PWD/$aside/base.sif")
    ;;
*)
    echo "BASE=$BASE: expected docker or debootstrap" >&2
    exit 2
    ;;
esac
# Every job unpacks what it imports: lz4 is the fastest at that, for a file larger by a fifth than with zstd.
apptainer build --notest --mksquashfs-args "-comp lz4" "${arguments[@]}" "$aside/compute.sif" containers/compute.def
apptainer test "$aside/compute.sif"
mv "$aside/compute.sif" containers/compute.sif
sha256sum containers/compute.sif
