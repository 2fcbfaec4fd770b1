# shellcheck shell=bash
# What the tests need and this clone has not. Sourced after cache.sh, at the root of a clone.

venv=tests/.cache/venv

declare -A packaged=([cc]="gcc libc6-dev" [c++]=g++ [javac]=openjdk-17-jdk-headless [mvn]=maven [python3]=python3-venv)

# system_packages PROGRAM..: asks for what is missing of the system, and installs it where that is possible.
system_packages() {
  local packages=() program
  for program in "$@"; do
    case $program in
      python3) "$program" -c 'import ensurepip, venv' 2>/dev/null && continue ;;
      *) command -v "$program" >/dev/null && continue ;;
    esac
    # shellcheck disable=SC2206  # one program may need two
    packages+=(${packaged[$program]-$program})
  done
  [ ${#packages[@]} = 0 ] && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}"; } && return
  fi
  printf 'The tests need more of the system. Paste this and start again:\n  sudo apt-get install -y %s\n' "${packages[*]}" >&2
  exit 69
}

cargo_or_say() {
  command -v cargo >/dev/null && return
  printf 'The tests need Rust. Paste this and start again:\n  curl https://sh.rustup.rs -sSf | sh -s -- -y\n' >&2
  exit 69
}

# Wheels are kept, a venv is made of them in each clone: that is when pip compares them with the sums in requirements.txt.
python_packages() {
  local wanted=tests/requirements.txt
  cmp -s "$wanted" "$venv/requirements.txt" && return
  rm -rf "$venv"
  python3 -m venv "$venv" || return
  kept "wheels/$({ python3 -VV && uname -m && cat "$wanted"; } | key_of)" install_wheels download_wheels "$wanted" || return
  cp "$wanted" "$venv/requirements.txt"
}

pip() { "$venv/bin/pip" --quiet --disable-pip-version-check "$@"; }
download_wheels() { pip download --require-hashes --only-binary :all: --dest "$1" --requirement "$2"; }
install_wheels() { pip install --require-hashes --no-index --find-links "$1" --requirement "$2"; }

# link_jars KIND..: the jars that a pom names, each compared with its sum in tests/jars.sha256, as tests/.cache/lib/KIND.
link_jars() {
  local kind name
  mkdir -p tests/.cache/lib
  for kind in "$@"; do
    name=jars/$kind-$({ cat "$(pom_of "$kind")" && jar_sums "$kind"; } | key_of)
    if ! kept "$name" jars_are_right fetch_jars "$kind"; then
      echo "tests/jars: not the $kind jars of tests/jars.sha256, see above; after a change of the pom: tests/jars pin" >&2
      return 1
    fi
    [ -L "tests/.cache/lib/$kind" ] || rm -rf "tests/.cache/lib/$kind"
    ln -sfn "$HOURSEAL_CACHE/$name" "tests/.cache/lib/$kind"
  done
}

pom_of() { if [ "$1" = readers ]; then echo schemas/readers/java/pom.xml; else echo tests/servers/pom.xml; fi; }

jar_sums() { sed -n "s|  $1/|  |p" tests/jars.sha256; }

sums_of() { (cd "$1" && LC_ALL=C && sha256sum -- *.jar); }

jars_are_right() { diff <(jar_sums "$2") <(sums_of "$1") >&2; }

fetch_jars() {
  local profile=()
  [ "$2" = readers ] || profile=("-P$2")
  mvn -q -B -ntp -Dstyle.color=never -f "$(pom_of "$2")" "${profile[@]}" \
    dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$1" >&2
}

pin_jars() {
  local kind folder=$PWD/tests/.cache/pinned
  rm -rf "$folder" && mkdir -p "$folder" || return
  for kind in cassandra kafka readers; do
    fetch_jars "$folder/$kind" "$kind" || return
    sums_of "$folder/$kind" | sed "s|  |  $kind/|"
  done >"$folder/sums" && mv "$folder/sums" tests/jars.sha256 && rm -r "$folder"
}

# The folder of prometheus and promtool. Only these files: Debian's package would start a server. apt has checked the package; the sums
# are noted then.
where_prometheus() {
  local name
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    dirname "$(command -v prometheus)"
    return
  fi
  name=tools/prometheus-$(dpkg --print-architecture)
  kept "$name" prometheus_is_right fetch_prometheus >&2 && echo "$HOURSEAL_CACHE/$name"
}

prometheus_is_right() { (cd "$1" && sha256sum --quiet --check sum); }

fetch_prometheus() {
  (
    cd "$1" || exit
    apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; } || exit
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components=3 ./usr/bin/prometheus ./usr/bin/promtool || exit
    rm -f prometheus_*.deb && sha256sum prometheus promtool >sum
  )
}
