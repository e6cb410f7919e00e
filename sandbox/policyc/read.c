#include "document.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "names.h"

#define LINE_MAX_BYTES 1024
#define INCLUDE_DEPTH  8

char *copy(const char *text)
{
    char *out = strdup(text);
    if (out == NULL) {
        perror("policyc");
        exit(2);
    }
    return out;
}

void complain(struct document *document, struct place place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%u: error: ", place.file, place.line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    document->errors++;
}

void dangerous(struct line *line, const char *why_dangerous)
{
    struct document *document = line->document;
    if (line->reason == NULL || strlen(line->reason) < 8) {
        complain(document, line->place, "\"%s\" needs a reason (# ...) on the same line: %s",
                 line->text, why_dangerous);
        return;
    }
    size_t n = document->reason_count;
    const struct reason *last = n > 0 ? &document->reasons[n - 1] : NULL;
    if (last != NULL && last->place.file == line->place.file &&
        last->place.line == line->place.line)
        return; /* one line, several dangerous calls */
    if (document->reason_count == DOCUMENT_REASONS_MAX) {
        complain(document, line->place, "too many dangerous entries");
        return;
    }
    document->reasons[document->reason_count++] =
        (struct reason){line->place, copy(line->text), copy(line->reason)};
}

const char *word(struct line *line)
{
    char *start = line->rest + strspn(line->rest, " \t");
    if (*start == '\0') {
        line->rest = start;
        return NULL;
    }
    char *end = start + strcspn(start, " \t");
    if (*end != '\0')
        *end++ = '\0';
    line->rest = end;
    return start;
}

const char *only_word(struct line *line, const char *what)
{
    const char *value = word(line);
    if (value == NULL)
        complain(line->document, line->place, "%s is missing", what);
    const char *more = word(line);
    if (more != NULL)
        complain(line->document, line->place, "unexpected \"%s\"", more);
    return value;
}

/* A decimal number, with K, M or G for powers of 1024, or "unlimited". */
static bool number(struct line *line, const char *text, uint64_t *out)
{
    if (text == NULL)
        return false;
    if (strcmp(text, "unlimited") == 0) {
        *out = RLIM_INFINITY;
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    unsigned shift = 0;
    if (*end == 'K')
        shift = 10;
    else if (*end == 'M')
        shift = 20;
    else if (*end == 'G')
        shift = 30;
    if (shift != 0)
        end++;
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 ||
        value > (UINT64_MAX >> shift)) {
        complain(line->document, line->place, "\"%s\" is no number (digits, then K, M or G)", text);
        return false;
    }
    *out = (uint64_t)value << shift;
    return true;
}

struct setting *set(struct line *line, struct setting *setting, const char *name)
{
    if (setting->set && strcmp(setting->place.file, line->place.file) == 0)
        complain(line->document, line->place, "%s was set at line %u already", name,
                 setting->place.line);
    setting->set = true;
    setting->place = line->place;
    return setting;
}

static void read_text(struct line *line, struct setting *setting, const char *name, size_t max)
{
    const char *value = only_word(line, name);
    if (value == NULL)
        return;
    if (strlen(value) > max ||
        value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
        complain(line->document, line->place, "%s \"%s\" must be at most %zu of a-z, 0-9 and -",
                 name, value, max);
    set(line, setting, name)->text = copy(value);
}

static void read_number(struct line *line, struct setting *setting, const char *name)
{
    uint64_t value;
    if (number(line, only_word(line, name), &value))
        set(line, setting, name)->number = value;
}

static void read_kind(struct line *line)
{
    read_text(line, &line->document->kind, "kind", 15);
}

/* An account, or one of the two identities that no worker may have. */
static void read_user(struct line *line)
{
    struct document *document = line->document;
    read_text(line, &document->user, "user", 28);
    const char *name = document->user.text;
    document->identity = POLICY_ACCOUNT;
    if (name != NULL && strcmp(name, "session") == 0)
        document->identity = POLICY_SESSION;
    else if (name != NULL && strcmp(name, "root") == 0)
        document->identity = POLICY_ROOT;
    if (document->identity != POLICY_ACCOUNT)
        dangerous(line, "it can do whatever that user can");
}

static void read_program(struct line *line)
{
    read_text(line, &line->document->program, "program", 48);
}

static void read_instances(struct line *line)
{
    read_number(line, &line->document->instances, "instances");
    uint64_t n = line->document->instances.number;
    if (line->document->instances.set && (n < 1 || n > 64))
        complain(line->document, line->place, "instances must be 1 to 64");
}

static void read_memory(struct line *line)
{
    read_number(line, &line->document->memory, "memory");
}

static void read_pids(struct line *line)
{
    read_number(line, &line->document->pids, "pids");
}

static void read_cpu(struct line *line)
{
    read_number(line, &line->document->cpu, "cpu");
}

static void read_memlock(struct line *line)
{
    read_number(line, &line->document->memlock, "memlock");
}

static void read_need(struct line *line, struct setting *setting, const char *name)
{
    const char *value = only_word(line, name);
    if (value == NULL)
        return;
    enum policy_need need;
    if (strcmp(value, "required") == 0) {
        need = POLICY_REQUIRED;
    } else if (strcmp(value, "preferred") == 0) {
        need = POLICY_PREFERRED;
    } else if (strcmp(value, "unused") == 0) {
        need = POLICY_UNUSED;
    } else {
        complain(line->document, line->place, "%s is required, preferred or unused, not \"%s\"",
                 name, value);
        return;
    }
    set(line, setting, name)->number = need;
}

static void read_mdwe(struct line *line)
{
    read_need(line, &line->document->mdwe, "mdwe");
    if (line->document->mdwe.set && line->document->mdwe.number == POLICY_UNUSED)
        dangerous(line, "memory could become executable again");
}

static void read_secret(struct line *line)
{
    read_need(line, &line->document->secret, "secret");
}

static void read_landlock(struct line *line)
{
    struct document *document = line->document;
    const char *words[4];
    for (int i = 0; i < 4; i++)
        words[i] = word(line);
    uint64_t minimum;
    uint64_t preferred;
    if (words[3] == NULL || word(line) != NULL || strcmp(words[0], "minimum") != 0 ||
        strcmp(words[2], "preferred") != 0) {
        complain(document, line->place, "expected \"landlock minimum N preferred N\"");
        return;
    }
    if (!number(line, words[1], &minimum) || !number(line, words[3], &preferred))
        return;
    if (minimum < 2 || preferred < minimum || preferred > 100)
        complain(document, line->place, "the minimum is at least 2, and preferred not below it");
    set(line, &document->landlock_minimum, "landlock")->number = minimum;
    document->landlock_preferred = document->landlock_minimum;
    document->landlock_preferred.number = preferred;
}

static void read_share(struct line *line)
{
    const char *name = only_word(line, "namespace");
    if (name == NULL)
        return;
    uint64_t flag = namespace_named(name);
    if (flag == 0 || flag == CLONE_NEWNS) {
        complain(line->document, line->place,
                 "\"%s\" cannot be shared: net, pid, ipc, uts or cgroup", name);
        return;
    }
    dangerous(line, "the worker shares a namespace with the host");
    line->document->shared_namespaces |= flag;
}

static void read_limit(struct line *line)
{
    struct document *document = line->document;
    const char *name = word(line);
    int resource = name == NULL ? -1 : limit_named(name);
    uint64_t value;
    if (resource < 0) {
        complain(document, line->place, "unknown limit \"%s\"", name == NULL ? "" : name);
        return;
    }
    if (!number(line, only_word(line, "value"), &value))
        return;
    struct limit_entry entry = {line->place, copy(name), {resource, value}};
    for (size_t i = 0; i < document->limit_count; i++) {
        if (document->limits[i].limit.resource != resource)
            continue;
        if (strcmp(document->limits[i].place.file, line->place.file) == 0)
            complain(document, line->place, "limit %s was set at line %u already", name,
                     document->limits[i].place.line);
        document->limits[i] = entry;
        return;
    }
    if (document->limit_count < DOCUMENT_ENTRIES_MAX)
        document->limits[document->limit_count++] = entry;
}

static void read_descriptor(struct line *line)
{
    struct document *document = line->document;
    const char *name = word(line);
    const char *option = word(line);
    if (name == NULL || (option != NULL && (strcmp(option, "optional") != 0 || word(line)))) {
        complain(document, line->place, "expected \"descriptor NAME [optional]\"");
        return;
    }
    for (size_t i = 0; i < document->descriptor_count; i++)
        if (strcmp(document->descriptors[i].descriptor.name, name) == 0)
            complain(document, line->place, "descriptor %s was named at line %u already", name,
                     document->descriptors[i].place.line);
    dangerous(line, "a descriptor that somebody else opened");
    if (document->descriptor_count == POLICY_DESCRIPTORS_MAX)
        complain(document, line->place, "too many descriptors");
    else
        document->descriptors[document->descriptor_count++] =
            (struct descriptor_entry){line->place, {copy(name), option != NULL}};
}

static void add_library(struct document *document, const char *soname)
{
    for (size_t i = 0; i < document->library_count; i++)
        if (strcmp(document->libraries[i], soname) == 0)
            return;
    if (document->library_count == sizeof(document->libraries) / sizeof(document->libraries[0])) {
        complain(document, (struct place){document->file, 0}, "too many libraries");
        return;
    }
    document->libraries[document->library_count++] = copy(soname);
}

static void read_library(struct line *line)
{
    const char *soname = only_word(line, "library");
    if (soname == NULL)
        return;
    if (strchr(soname, '/') != NULL || strstr(soname, ".so") == NULL)
        complain(line->document, line->place, "\"%s\" is no soname", soname);
    else
        add_library(line->document, soname);
}

/* An included file lies beside the one that includes it, or in sandbox/. */
static void read_include(struct line *line)
{
    static unsigned depth;
    const char *name = only_word(line, "file");
    if (name == NULL)
        return;
    char path[PATH_MAX];
    const char *slash = strrchr(line->place.file, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - line->place.file);
    snprintf(path, sizeof(path), "%.*s%s", folder, line->place.file, name);
    FILE *beside = fopen(path, "re");
    if (beside != NULL)
        fclose(beside);
    else
        snprintf(path, sizeof(path), "%s/%s", POLICYC_INCLUDE_DIR, name);
    if (depth == INCLUDE_DEPTH) {
        complain(line->document, line->place, "files include each other");
        return;
    }
    depth++;
    document_read(line->document, copy(path), line->overlay);
    depth--;
}

static const struct {
    const char *name;
    void (*read)(struct line *line);
} statements[] = {
    {"kind", read_kind},         {"user", read_user},   {"program", read_program},
    {"include", read_include},   {"mount", read_mount}, {"instances", read_instances},
    {"library", read_library},   {"share", read_share}, {"memory", read_memory},
    {"pids", read_pids},         {"cpu", read_cpu},     {"memlock", read_memlock},
    {"landlock", read_landlock}, {"mdwe", read_mdwe},   {"secret", read_secret},
    {"syscall", read_rule},      {"limit", read_limit}, {"descriptor", read_descriptor},
    {"filter", read_filter},     {"root", read_root},   {"default", read_default},
};

static void read_statement(struct line *line)
{
    const char *name = word(line);
    if (name == NULL)
        return;
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (strcmp(statements[i].name, name) == 0) {
            statements[i].read(line);
            return;
        }
    }
    complain(line->document, line->place, "unknown word \"%s\"", name);
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\n", text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

void document_read(struct document *document, const char *file, bool overlay)
{
    struct line line = {.document = document, .place = {file, 0}, .overlay = overlay};
    FILE *input = fopen(file, "re");
    if (input == NULL) {
        complain(document, line.place, "cannot be read: %s", strerror(errno));
        return;
    }
    char buffer[LINE_MAX_BYTES];
    char whole[LINE_MAX_BYTES];
    while (fgets(buffer, sizeof(buffer), input) != NULL) {
        line.place.line++;
        if (strchr(buffer, '\n') == NULL && !feof(input)) {
            complain(document, line.place, "the line is too long");
            break;
        }
        char *comment = strchr(buffer, '#');
        if (comment != NULL)
            *comment++ = '\0';
        line.reason = comment == NULL ? NULL : trim(comment);
        char *text = trim(buffer);
        memcpy(whole, text, strlen(text) + 1);
        line.text = whole;
        line.rest = text;
        read_statement(&line);
    }
    fclose(input);
}

void document_add_libraries(struct document *document, const char *file)
{
    struct place place = {file, 0};
    FILE *input = fopen(file, "re");
    if (input == NULL) {
        complain(document, place, "cannot be read: %s", strerror(errno));
        return;
    }
    char buffer[PATH_MAX + 256];
    while (fgets(buffer, sizeof(buffer), input) != NULL) {
        place.line++;
        if (strstr(buffer, "not found") != NULL)
            complain(document, place, "a library is missing: %s", trim(buffer));
        char *end = strstr(buffer, " (0x");
        if (end == NULL || strstr(buffer, "linux-vdso") != NULL)
            continue;
        *end = '\0';
        char *slash = strrchr(buffer, '/');
        if (slash != NULL)
            add_library(document, slash + 1);
    }
    fclose(input);
}
