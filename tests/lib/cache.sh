# shellcheck shell=bash
# What others made, kept between clones: jars, wheels, promtool, and compiled dependencies. Sourced at the root of a clone.
# What is ours is kept for no other clone: each one compiles the crate. No verdict is kept at all.
# HOURSEAL_CACHE names the folder, which may be removed at any time.

home=~
HOURSEAL_CACHE=$(realpath -m "${HOURSEAL_CACHE:-${XDG_CACHE_HOME:-$home/.cache}/hourseal}")
export HOURSEAL_CACHE

# kept NAME CHECK FILL [ARGUMENTS..]: the folder NAME of the cache passes `CHECK folder ARGUMENTS`. If it does not, `FILL folder
# ARGUMENTS` makes another one beside it, which takes its name once it passes. One run at a time.
kept() {
  local name=$1
  mkdir -p "$(dirname "$HOURSEAL_CACHE/$name")" || return
  (flock 8 && keep "$@") 8>"$HOURSEAL_CACHE/lock"
}

keep() {
  local folder=$HOURSEAL_CACHE/$1 check=$2 fill=$3 beside
  shift 3
  if [ -d "$folder" ] && "$check" "$folder" "$@"; then
    touch "$folder"
    return
  fi
  beside=$(mktemp -d "$folder.XXXXXX") || return
  if "$fill" "$beside" "$@" && "$check" "$beside" "$@"; then
    chmod 755 "$beside" && rm -rf "$folder" && mv "$beside" "$folder" && return
  fi
  rm -rf "$beside"
  return 1
}

key_of() { sha256sum | cut -c1-16; }

# What cargo does not see in a unit, and what bounds how many units a folder gathers. What is compiled with LTO and without, or
# only checked, stands in it side by side: each unit has a name of its own.
build_key() {
  {
    cat Cargo.lock fuzz/Cargo.lock
    sed -n '/^\[\(features\|profile\)/,/^$/p' Cargo.toml fuzz/Cargo.toml
    rustc -vV && cargo -V && cc --version
    printf '%s\n' "${RUSTFLAGS-}" "${CFLAGS-}" "${CXXFLAGS-}"
  } | key_of
}

# Compiled dependencies come from the cache, for the rest of the run; final binaries stay in the clone's target. A second run at
# the same time has a folder of its own: two clones in one folder would take each other's crate for theirs.
take_build_folder() {
  local folder
  folder=$HOURSEAL_CACHE/build/$(build_key) || return
  mkdir -p "$folder" || return
  exec 9<"$folder"
  if flock -n 9; then
    touch "$folder"
    forget_others_crate "$folder"
    forget_old
  else
    exec 9<&-
    folder=$PWD/tests/.cache/build
    note "another run compiles in the cache: this one compiles every dependency for itself"
  fi
  export CARGO_BUILD_BUILD_DIR=$folder
}

# Cargo goes by the age of our sources, which says nothing about those of another clone: of what is ours nothing is left for it.
forget_others_crate() {
  local clone names=(-name incremental) name
  clone="$PWD $(stat -c '%i %W' .)"
  [ "$(cat "$1/clone" 2>/dev/null)" = "$clone" ] && return
  while read -r name; do
    names+=(-o -name "$name" -o -name "$name-*" -o -name "lib$name-*" -o -name "lib${name//-/_}-*")
  done < <(sed -n 's/^name = "\(.*\)"/\1/p' Cargo.toml fuzz/Cargo.toml)
  find "$1" -mindepth 2 -maxdepth 4 \( "${names[@]}" \) -prune -exec rm -rf {} + && echo "$clone" >"$1/clone"
}

# Of compiled dependencies the two folders used last stay, of the rest what was used within a month.
forget_old() {
  local old
  find "$HOURSEAL_CACHE/build" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | tail -n +3 | cut -d' ' -f2- |
    while IFS= read -r old; do flock -n "$old" rm -rf "$old" || true; done
  mkdir -p "$HOURSEAL_CACHE"/{jars,wheels,tools}
  find "$HOURSEAL_CACHE"/{jars,wheels,tools} -mindepth 1 -maxdepth 1 -mtime +30 -exec rm -rf {} +
}
