#!/usr/bin/env bash
# Builds the files of a release into target/packages, which it empties first:
#
#   deb      mqtt-presence-exporter_VERSION_ARCH.deb, for the Debian release of this machine and later ones
#   tarball  mqtt-presence-exporter-VERSION-linux-ARCH.tar.gz
#   sbom     mqtt-presence-exporter-VERSION-linux-ARCH.cdx.json, all dependencies in the CycloneDX format
#
# and SHA256SUMS of these files.
#
# Usage: deploy/release.sh [--binary=FILE] [--deb-revision=N] [deb] [tarball] [sbom]      (default: all three)
#
# With --binary, packages this binary instead of building one. Requires Debian, a Rust toolchain and a C
# compiler; installs cargo-deb and cargo-cyclonedx if they are missing. Two runs on the same commit
# and machine create the same tarball.
set -euo pipefail
cd "$(dirname "$0")/.."

name=mqtt-presence-exporter
binary='' deb_revision=1 parts=()
for argument in "$@"; do
    case $argument in
        --binary=*) binary=${argument#*=} ;;
        --deb-revision=*) deb_revision=${argument#*=} ;;
        deb | tarball | sbom) parts+=("$argument") ;;
        *) echo "unknown argument \`$argument\`" >&2; exit 64 ;;
    esac
done
((${#parts[@]})) || parts=(deb tarball sbom)
wanted() { [[ " ${parts[*]} " == *" $1 "* ]]; }

# tool NAME VERSION
tool() { command -v "$1" >/dev/null || cargo install --locked "$1@$2"; }

field() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" Cargo.toml | head -n 1; }
version=$(field version)
# Timestamps in the packages: the time of the commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

if [[ -z $binary ]]; then
    cargo build --profile dist --locked
    binary=${CARGO_TARGET_DIR:-target}/dist/$name
fi

# The files that the packages contain in addition to those of the repository.
staging=target/staging out=target/packages
rm -rf "$staging" "$out"
mkdir -p "$staging/completions" "$out"
install -m 755 "$binary" "$staging/$name"
strip "$staging/$name"
"$staging/$name" completions bash >"$staging/completions/$name"
"$staging/$name" completions zsh >"$staging/completions/_$name"
"$staging/$name" completions fish >"$staging/completions/$name.fish"
cp "deploy/debian/$name.1" "$staging/"
sed 's|/usr/local/bin/|/usr/bin/|' "deploy/systemd/$name.service" >"$staging/$name.service"
cat >"$staging/changelog" <<END
$name ($version-$deb_revision) stable; urgency=medium

  * See $(field repository)/blob/main/CHANGELOG.md

 -- $(field maintainer)  $(date --utc --date="@$SOURCE_DATE_EPOCH" --rfc-email)
END

release=$name-$version-linux-$(uname -m) files=()
if wanted deb; then
    tool cargo-deb 3.8.0
    cargo deb --no-build --no-strip --deb-revision="$deb_revision" --output="$out/" --quiet
    files+=("${name}_$version-${deb_revision}_$(dpkg --print-architecture).deb")
fi
if wanted tarball; then
    folder=$staging/$release
    mkdir -p "$folder"
    cp -rL LICENSE README.md CHANGELOG.md config.yaml prometheus grafana "$staging/completions" "$staging/$name" \
        "deploy/systemd/$name.service" "$folder/"
    tar --create --directory="$staging" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
        --numeric-owner --mode='u+rwX,go+rX,go-w' "$release" | gzip --no-name --best >"$out/$release.tar.gz"
    files+=("$release.tar.gz")
fi
if wanted sbom; then
    tool cargo-cyclonedx 0.5.9
    # cargo-cyclonedx writes next to Cargo.toml. The SBOM lists the dependencies for this platform.
    cargo cyclonedx --quiet --format=json --spec-version=1.5 --override-filename="$release.cdx" \
        --target="$(rustc -vV | sed -n 's/^host: //p')"
    mv "$release.cdx.json" "$out/"
    files+=("$release.cdx.json")
fi
(cd "$out" && sha256sum "${files[@]}" | tee SHA256SUMS)
