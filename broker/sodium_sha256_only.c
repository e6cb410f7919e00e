/*
 * libsodium with SHA-256 alone.
 *
 * The broker hashes the chunks that it lets pass and needs nothing else of libsodium; but the
 * object that wipes SHA-256's state also has the guarded allocator, and that names randombytes_buf
 * and sodium_misuse, which reach every cipher and curve of the library: 145 KB of machine code in
 * the process that decides. The two functions below stand in front of the ones of the same name in
 * the static library, so that the linker never pulls those parts in. They belong to paths that the
 * broker does not take, and end it if it does.
 */
#include <stdlib.h>
#include <sodium.h>

void randombytes_buf(void *const out, const size_t size)
{
    (void)out;
    (void)size;
    abort();
}

void sodium_misuse(void)
{
    abort();
}
