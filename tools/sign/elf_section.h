/*
 * Finding a section in an ELF file (System V ABI, ELF-64, little-endian), which may be hostile.
 * Pure; any thread.
 */
#ifndef CLOISTER_SIGN_ELF_SECTION_H
#define CLOISTER_SIGN_ELF_SECTION_H

#include <stddef.h>
#include <stdint.h>

/*
 * Finds the one section of that name in `length` bytes. It must be of PROGBITS, loaded into memory,
 * neither writable nor executable there nor compressed, of `size` bytes, and overlap neither the
 * ELF header nor the tables of sections and segments. Returns NULL and its place in the file; or
 * what is wrong.
 */
const char *elf_section_find(size_t *offset, const uint8_t *bytes, size_t length, const char *name,
                             size_t size);

#endif
