#include "elf_section.h"

#include <elf.h>
#include <endian.h>
#include <stdbool.h>
#include <string.h>

#define SECTIONS_MAX 4096
#define NAMES_MAX    (1u << 24)

struct image {
    const uint8_t *bytes;
    size_t length;
    Elf64_Ehdr head;
    const char *names;
    uint64_t names_offset, names_length;
};

/* Whether `size` bytes at `offset` lie within the file. */
static bool within(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->length && size <= image->length - offset;
}

static Elf64_Shdr section(const struct image *image, size_t i)
{
    Elf64_Shdr header;
    memcpy(&header, image->bytes + image->head.e_shoff + i * sizeof(header), sizeof(header));
    return header;
}

static const char *read_head(struct image *image)
{
    Elf64_Ehdr *head = &image->head;
    if (image->length < sizeof(*head))
        return "it is no ELF file";
    memcpy(head, image->bytes, sizeof(*head));
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return "it is no ELF file";
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB ||
        head->e_ident[EI_VERSION] != EV_CURRENT || head->e_ehsize != sizeof(*head))
        return "it is not a 64-bit little-endian ELF file";
    if (head->e_type != ET_EXEC && head->e_type != ET_DYN)
        return "it is no program";
    if (head->e_shentsize != sizeof(Elf64_Shdr) || head->e_shnum == 0 ||
        head->e_shnum > SECTIONS_MAX || head->e_shstrndx >= head->e_shnum ||
        !within(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr)) ||
        !within(image, head->e_phoff, (uint64_t)head->e_phnum * head->e_phentsize))
        return "its table of sections or segments is missing or damaged";
    return NULL;
}

static const char *read_names(struct image *image)
{
    Elf64_Shdr names = section(image, image->head.e_shstrndx);
    if (names.sh_type != SHT_STRTAB || names.sh_size == 0 || names.sh_size > NAMES_MAX ||
        !within(image, names.sh_offset, names.sh_size) ||
        image->bytes[names.sh_offset + names.sh_size - 1] != '\0')
        return "its table of section names is damaged";
    image->names = (const char *)image->bytes + names.sh_offset;
    image->names_offset = names.sh_offset;
    image->names_length = names.sh_size;
    return NULL;
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a_size && b_size && (a < b ? b - a < a_size : a - b < b_size);
}

static const char *check(const struct image *image, const Elf64_Shdr *found, size_t size)
{
    const Elf64_Ehdr *head = &image->head;
    if (found->sh_type != SHT_PROGBITS || !(found->sh_flags & SHF_ALLOC) ||
        found->sh_flags & (SHF_WRITE | SHF_EXECINSTR | SHF_COMPRESSED))
        return "its section of keys is not read-only data";
    if (found->sh_size != size)
        return "its section of keys is of another size";
    if (!within(image, found->sh_offset, size))
        return "its section of keys does not lie in the file";
    if (overlap(found->sh_offset, size, 0, sizeof(*head)) ||
        overlap(found->sh_offset, size, head->e_shoff,
                (uint64_t)head->e_shnum * sizeof(Elf64_Shdr)) ||
        overlap(found->sh_offset, size, head->e_phoff,
                (uint64_t)head->e_phnum * head->e_phentsize) ||
        overlap(found->sh_offset, size, image->names_offset, image->names_length))
        return "its section of keys overlaps its headers";
    return NULL;
}

static const char *find(size_t *offset, struct image *image, const char *name, size_t size)
{
    Elf64_Shdr found = {0};
    unsigned count = 0;
    for (size_t i = 0; i < image->head.e_shnum; i++) {
        Elf64_Shdr header = section(image, i);
        if (header.sh_name < image->names_length &&
            strcmp(image->names + header.sh_name, name) == 0) {
            found = header;
            count++;
        }
    }
    if (count != 1)
        return count ? "it has several sections of keys" : "it has no section for keys";
    const char *fault = check(image, &found, size);
    *offset = fault ? 0 : (size_t)found.sh_offset;
    return fault;
}

const char *elf_section_find(size_t *offset, const uint8_t *bytes, size_t length, const char *name,
                             size_t size)
{
    struct image image = {.bytes = bytes, .length = length};
    if (htole16(1) != 1)
        return "this machine is not little-endian";
    const char *fault = read_head(&image);
    if (!fault)
        fault = read_names(&image);
    return fault ? fault : find(offset, &image, name, size);
}
