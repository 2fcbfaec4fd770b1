# shellcheck shell=bash disable=SC2154
# Steps: each has a name, a log, a verdict and a time, and is done by the function of its name. Sourced; logs go to `$logs`.

failed=()
closing=()
aside=

# step NAME: with its output shown and kept. The run goes on after a failure.
step() {
  local name=$1 start=$SECONDS status=0
  printf '\n=== %s\n' "$name"
  "${name//-/_}" 2>&1 9<&- | tee "$logs/$name.log" || status=${PIPESTATUS[0]}
  ended "$name" "$status" "$((SECONDS - start)) s"
}

# beside NAME..: these steps, one after the other, while the run goes on, and after it in turn at the processors.
beside() {
  local name start status
  for name in "$@"; do rm -f "$logs/$name.ended"; done
  set -m # a group of its own, to be ended as a whole
  (
    renice -n 10 $BASHPID >/dev/null || true
    for name in "$@"; do
      start=$SECONDS status=0
      "${name//-/_}" >"$logs/$name.log" 2>&1 || status=$?
      echo "$status $((SECONDS - start)) s beside others" >"$logs/$name.ended"
    done
  ) 9<&- &
  aside=$!
  set +m
}

# join NAME: waits for a step that runs beside, shows its output, and judges it.
join() {
  local name=$1 status=1 time="it was ended"
  while [ ! -e "$logs/$name.ended" ] && kill -0 "$aside" 2>/dev/null; do sleep 1; done
  printf '\n=== %s, beside others\n' "$name"
  cat "$logs/$name.log"
  read -r status time <"$logs/$name.ended" || true
  ended "$name" "$status" "$time"
}

end_aside() { [ -z "$aside" ] || kill -- "-$aside" 2>/dev/null || true; }

# ended NAME STATUS TIME
ended() {
  local name=$1 verdict=ok line
  [ "$2" = 0 ] || { verdict="FAILED (exit $2)" && failed+=("$name"); }
  printf '=== %s: %s, %s\n' "$name" "$verdict" "$3"
  closing+=("$(printf '%-16s %s, %s' "$name" "$verdict" "$3")")
  while IFS= read -r line; do closing+=("    $line"); done < <(closing_lines "$logs/$name.log")
  [ "$verdict" = ok ]
}

# The lines with which the runners themselves close.
closing_lines() {
  grep -aE '^test result: |^(ok|FAIL)[[:space:]]|^SKIPPED: |^=+ .*(passed|failed|error).* =+$|^[0-9]+ (passed|failed).* in |^SKIPPED |^(agreed|DISAGREED): ' "$1" || true
}

note() {
  printf '\n!!! %s\n' "$1"
  closing+=("!!! $1")
}

finish() {
  printf '\n=== closing lines\n'
  [ ${#closing[@]} -eq 0 ] || printf '%s\n' "${closing[@]}"
  if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFAILED in %d s: %s\n' "$SECONDS" "$(IFS=,; echo "${failed[*]}")"
    exit 1
  fi
  printf '\nall passed in %d s\n' "$SECONDS"
  exit 0
}
