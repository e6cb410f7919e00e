#!/usr/bin/env bats
# What each component installs. BUILD is the build's folder, SOURCE the tree, CMAKE the program.

bats_require_minimum_version 1.5.0

# install_component NAME: into $BATS_TEST_TMPDIR/root; prints the files that it has then.
install_component() {
    DESTDIR="$BATS_TEST_TMPDIR/root" "$CMAKE" --install "$BUILD" --prefix /usr --component "$1" > /dev/null
    (cd "$BATS_TEST_TMPDIR/root" && find . ! -type d | sed 's/^.//' | sort)
}

@test "agent: every program that a worker needs, and none for commands as root" {
    list=$(install_component agent)
    for program in cloisterd cloister-broker cloister-launch cloister cloister-ticket \
        $(cd "$SOURCE" && sed -n 's/^program \(cloister-[a-z]*\)$/\1/p' ./*/*.policy | sort -u); do
        grep -qx "/usr/lib/cloister/$program" <<< "$list"
    done
    ! grep -E 'admin|sign|console|test' <<< "$list"
    [ "$(readlink "$BATS_TEST_TMPDIR/root/usr/bin/cloister")" = ../lib/cloister/cloister ]
    "$BATS_TEST_TMPDIR/root/usr/bin/cloister" --version | grep -q '^cloister-vault '
    [ -z "$(find "$BATS_TEST_TMPDIR/root" ! -type l -perm /022)" ]
    # What docs/operations.md says lies where.
    for path in /etc/cloister/cloister.conf /usr/lib/systemd/system/cloister.service \
        /usr/lib/sysusers.d/cloister.conf /usr/lib/tmpfiles.d/cloister.conf \
        /usr/share/man/man1/cloister.1 /usr/share/bash-completion/completions/cloister \
        /etc/xdg/autostart/cloister-commands.desktop; do
        grep -qx "$path" <<< "$list"
        grep -qF "$path" "$SOURCE/docs/operations.md"
    done
}

@test "admin-commands: one program, and nothing else" {
    [ "$(install_component admin-commands)" = /usr/lib/cloister/cloister-command-admin ]
}

@test "sign: the program, its manual page, its completion" {
    list=$(install_component sign)
    [ "$(wc -l <<< "$list")" -eq 3 ]
    grep -qx /usr/bin/cloister-sign <<< "$list"
}

@test "the autostart file is one, and runs what cloister knows" {
    file="$SOURCE/packaging/autostart/cloister-commands.desktop"
    if command -v desktop-file-validate > /dev/null; then desktop-file-validate "$file"; fi
    [ "$(head -1 "$file")" = "[Desktop Entry]" ]
    read -r -a words < <(sed -n 's/^Exec=//p' "$file")
    [ "${words[0]}" = /usr/bin/cloister ]
    for word in "${words[@]:2}"; do
        "$BUILD/bin/cloister" "${words[1]}" --help | grep -q -- "$word"
    done
}
