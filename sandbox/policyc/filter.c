#include "output.h"

#include <errno.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct scmp_arg_cmp compare(const struct condition *c)
{
    static const enum scmp_compare operators[] = {
        [CONDITION_EQ] = SCMP_CMP_EQ,
        [CONDITION_NE] = SCMP_CMP_NE,
        [CONDITION_LT] = SCMP_CMP_LT,
        [CONDITION_LE] = SCMP_CMP_LE,
        [CONDITION_GT] = SCMP_CMP_GT,
        [CONDITION_GE] = SCMP_CMP_GE,
        [CONDITION_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
    };
    struct scmp_arg_cmp out = {
        .arg = c->argument,
        .op = operators[c->operator],
        .datum_a = c->value,
    };
    if (c->operator== CONDITION_MASKED_EQ) {
        out.datum_a = c->mask;
        out.datum_b = c->value;
    }
    return out;
}

static void add_rule(struct document *document, scmp_filter_ctx context, const struct rule *rule)
{
    struct scmp_arg_cmp comparisons[RULE_CONDITIONS_MAX];
    for (size_t i = 0; i < rule->condition_count; i++)
        comparisons[i] = compare(&rule->conditions[i]);
    uint32_t action = rule->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)rule->error);
    int result = seccomp_rule_add_array(context, action, rule->number,
                                        (unsigned)rule->condition_count, comparisons);
    if (result != 0)
        complain(document, rule->place, "%s: libseccomp refuses the rule: %s", rule->name,
                 strerror(-result));
}

/* What happens to a call that no rule matches. */
static uint32_t default_action(const struct document *document)
{
    if (!document->otherwise.set)
        return SCMP_ACT_KILL_PROCESS;
    uint32_t error = (uint32_t)document->otherwise.number;
    return error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(error);
}

/* Kills the process for a call by another architecture's table: with int 0x80, or with x32 numbers.
 */
static scmp_filter_ctx new_filter(const struct document *document)
{
    scmp_filter_ctx context = seccomp_init(default_action(document));
    if (context != NULL &&
        seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
        seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0)
        return context;
    fprintf(stderr, "policyc: libseccomp cannot make a filter\n");
    exit(2);
}

static size_t export(scmp_filter_ctx context, struct sock_filter *program, size_t capacity)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0 || seccomp_export_bpf(context, fd) != 0) {
        fprintf(stderr, "policyc: the filter cannot be exported\n");
        exit(2);
    }
    ssize_t n = pread(fd, program, capacity * sizeof(*program), 0);
    close(fd);
    if (n <= 0 || (size_t)n % sizeof(*program) != 0 || (size_t)n == capacity * sizeof(*program)) {
        fprintf(stderr, "policyc: the filter has a bad size\n");
        exit(2);
    }
    return (size_t)n / sizeof(*program);
}

static size_t allowed_calls(const struct document *document)
{
    size_t count = 0;
    for (size_t i = 0; i < document->rule_count; i++) {
        size_t j = 0;
        while (j < i && (document->rules[j].number != document->rules[i].number ||
                         document->rules[j].error != 0))
            j++;
        if (j == i && document->rules[i].error == 0)
            count++;
    }
    return count;
}

static void print_program(const struct sock_filter *program, size_t count, FILE *out)
{
    fprintf(out, "static const struct sock_filter program[] = {\n");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "    {0x%02x, %u, %u, 0x%08x},\n", program[i].code, program[i].jt,
                program[i].jf, program[i].k);
    fprintf(out, "};\n\n");
}

/* Prints the arrays; tells how many entries `keeps` has, since an empty array is no array. */
static size_t print_lists(const struct document *document, FILE *out)
{
    size_t keeps = 0;
    fprintf(out, "static const struct sandbox_keep keeps[] = {\n");
    for (size_t i = 0; i < document->mount_count; i++) {
        const struct mount_entry *entry = &document->mounts[i];
        if (!entry->stays)
            continue;
        fprintf(out, "    {\"%s\", 0x%x, %d},\n", entry->mount.target, entry->mount.rights,
                entry->mount.optional);
        keeps++;
    }
    fprintf(out, "    {0},\n};\n\nstatic const struct policy_descriptor descriptors[] = {\n");
    for (size_t i = 0; i < document->descriptor_count; i++)
        fprintf(out, "    {\"%s\", %d},\n", document->descriptors[i].descriptor.name,
                document->descriptors[i].descriptor.optional);
    fprintf(out, "    {0},\n};\n\n");
    return keeps;
}

static void print_hash(const struct sock_filter *program, size_t count, FILE *out)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)program, count * sizeof(*program));
    fprintf(out, "    .sha256 = {");
    for (size_t i = 0; i < sizeof(hash); i++)
        fprintf(out, "0x%02x%s", hash[i], i + 1 < sizeof(hash) ? ", " : "},\n");
}

void output_filter(struct document *document, FILE *out)
{
    static struct sock_filter program[BPF_MAXINSNS];
    scmp_filter_ctx context = new_filter(document);
    for (size_t i = 0; i < document->rule_count; i++)
        add_rule(document, context, &document->rules[i]);
    size_t count = export(context, program, BPF_MAXINSNS);
    seccomp_release(context);

    fprintf(out,
            "/* Made by policyc of %s. */\n#include \"policy.h\"\n#include \"%s_filter.h\"\n\n",
            document->file, identifier(document));
    print_program(program, count, out);
    size_t keeps = print_lists(document, out);
    fprintf(out, "const struct sandbox_filter %s_filter = {\n", identifier(document));
    fprintf(out, "    .kind = \"%s\",\n    .program = program,\n", document->kind.text);
    fprintf(out, "    .instructions = %zu,\n    .syscalls = %zu,\n", count,
            allowed_calls(document));
    print_hash(program, count, out);
    fprintf(out, "    .mdwe = %u,\n    .secret = %u,\n", (unsigned)document->mdwe.number,
            (unsigned)document->secret.number);
    fprintf(out, "    .landlock_minimum = %u,\n    .landlock_preferred = %u,\n",
            (unsigned)document->landlock_minimum.number,
            (unsigned)document->landlock_preferred.number);
    fprintf(out, "    .shares_network = %d,\n", (document->shared_namespaces & CLONE_NEWNET) != 0);
    fprintf(out, "    .keeps = keeps,\n    .keep_count = %zu,\n", keeps);
    fprintf(out, "    .descriptors = descriptors,\n    .descriptor_count = %zu,\n",
            document->descriptor_count);
    fprintf(out, "    .probe = \"/bin/%s\",\n", document->program.text);
    if (document->overlay != NULL)
        fprintf(out, "    .overlay = \"%s\",\n", document->overlay);
    fprintf(out, "};\n");
}

void output_filter_header(const struct document *document, FILE *out)
{
    fprintf(out,
            "/* Made by policyc of %s. */\n#pragma once\n#include \"policy.h\"\n\n"
            "extern const struct sandbox_filter %s_filter;\n",
            document->file, identifier(document));
}
