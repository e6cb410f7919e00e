#include "document.h"

#include <errno.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#define RULE_NAMES_MAX 64
#define RULE_CHOICES   32

/* 12, 0x1f, ~0x1f, AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, ~PROT_EXEC. */
static bool value_of(struct line *line, const char *text, uint64_t *out)
{
    uint64_t total = 0;
    bool invert = text[0] == '~';
    char *list = copy(text + (invert ? 1 : 0));
    char *save = NULL;
    bool good = list[0] != '\0';
    for (char *part = strtok_r(list, "|", &save); part != NULL; part = strtok_r(NULL, "|", &save)) {
        uint64_t value;
        char *end;
        errno = 0;
        value = strtoull(part, &end, 0);
        if (part[0] < '0' || part[0] > '9' || *end != '\0' || errno != 0) {
            if (!constant_named(part, &value)) {
                complain(line->document, line->place, "unknown constant \"%s\"", part);
                good = false;
            }
        }
        total |= value;
    }
    free(list);
    *out = invert ? ~total : total;
    return good;
}

static bool operator_of(const char *text, enum condition_operator *out)
{
    static const struct {
        const char *text;
        enum condition_operator operator;
    } table[] = {
        {"==", CONDITION_EQ}, {"!=", CONDITION_NE}, {"<", CONDITION_LT},
        {"<=", CONDITION_LE}, {">", CONDITION_GT},  {">=", CONDITION_GE},
    };
    for (size_t i = 0; text != NULL && i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].text, text) == 0) {
            *out = table[i].operator;
            return true;
        }
    }
    return false;
}

/* A condition with `in` is one condition per choice, each of which makes a rule of its own. */
struct choices {
    struct condition conditions[RULE_CHOICES];
    size_t count;
};

static bool add_choice(struct choices *choices, struct condition condition)
{
    if (choices->count == RULE_CHOICES)
        return false;
    choices->conditions[choices->count++] = condition;
    return true;
}

/* argN in A B C, up to `and`, `:` or the end; the word that ended it is put into *next. */
static bool read_in(struct line *line, struct condition condition, struct choices *choices,
                    const char **next)
{
    condition.operator= CONDITION_EQ;
    const char *text;
    while ((text = word(line)) != NULL && strcmp(text, "and") != 0 && strcmp(text, ":") != 0) {
        if (!value_of(line, text, &condition.value))
            return false;
        if (!add_choice(choices, condition)) {
            complain(line->document, line->place, "too many values");
            return false;
        }
    }
    *next = text;
    if (choices->count == 0)
        complain(line->document, line->place, "\"in\" needs values");
    return choices->count > 0;
}

static bool bad_condition(struct line *line)
{
    complain(line->document, line->place,
             "expected \"argN OP VALUE\", \"argN & MASK == VALUE\" or \"argN in VALUE...\"");
    return false;
}

/* One condition; *next is the word after it, or NULL. */
static bool read_condition(struct line *line, struct choices *choices, const char **next)
{
    struct condition condition = {0};
    const char *text = word(line);
    if (text == NULL || strncmp(text, "arg", 3) != 0 || text[3] < '0' || text[3] > '5' ||
        text[4] != '\0')
        return bad_condition(line);
    condition.argument = (unsigned)(text[3] - '0');
    const char *op = word(line);
    if (op != NULL && strcmp(op, "in") == 0)
        return read_in(line, condition, choices, next);
    if (op != NULL && strcmp(op, "&") == 0) {
        const char *mask = word(line);
        const char *equals = word(line);
        if (mask == NULL || equals == NULL || strcmp(equals, "==") != 0)
            return bad_condition(line);
        if (!value_of(line, mask, &condition.mask))
            return false;
        condition.operator= CONDITION_MASKED_EQ;
    } else if (!operator_of(op, &condition.operator)) {
        return bad_condition(line);
    }
    const char *value = word(line);
    if (value == NULL)
        return bad_condition(line);
    if (!value_of(line, value, &condition.value))
        return false;
    *next = word(line);
    return add_choice(choices, condition);
}

/* Makes every rule in `rules` once per choice. */
static size_t multiply(struct rule *rules, size_t count, const struct choices *choices)
{
    if (choices->count > RULE_CHOICES / count)
        return 0;
    for (size_t c = choices->count; c-- > 0;)
        for (size_t i = 0; i < count; i++) {
            rules[c * count + i] = rules[i];
            struct rule *rule = &rules[c * count + i];
            rule->conditions[rule->condition_count++] = choices->conditions[c];
        }
    return count * choices->count;
}

static bool read_conditions(struct line *line, struct rule *rules, size_t *count, const char **next)
{
    unsigned used = 0;
    do {
        struct choices choices = {.count = 0};
        if (!read_condition(line, &choices, next))
            return false;
        if (used & (1U << choices.conditions[0].argument)) {
            complain(line->document, line->place, "arg%u stands twice in one rule",
                     choices.conditions[0].argument);
            return false;
        }
        used |= 1U << choices.conditions[0].argument;
        *count = multiply(rules, *count, &choices);
        if (*count == 0) {
            complain(line->document, line->place, "too many combinations");
            return false;
        }
    } while (*next != NULL && strcmp(*next, "and") == 0);
    return true;
}

static bool read_action(struct line *line, const char *colon, int *error)
{
    if (colon == NULL)
        return true;
    const char *kind = strcmp(colon, ":") == 0 ? word(line) : NULL;
    const char *name = kind != NULL && strcmp(kind, "errno") == 0 ? word(line) : NULL;
    *error = name == NULL ? 0 : errno_named(name);
    if (*error == 0 || word(line) != NULL) {
        complain(line->document, line->place, "expected \": errno ENAME\" at the end");
        return false;
    }
    return true;
}

/* Whether the rule's conditions rule out that the call makes memory executable. */
static bool is_guarded(const struct rule *rule, const struct code_guard *guard)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct condition *c = &rule->conditions[i];
        if (c->argument != guard->argument)
            continue;
        if (c->operator== CONDITION_MASKED_EQ &&(c->mask & guard->mask) == guard->mask &&
            (c->value & guard->mask) == 0)
            return true;
        if (c->operator== CONDITION_EQ &&(c->value & guard->mask) == 0)
            return true;
    }
    return false;
}

static void check_class(struct line *line, const char *name)
{
    switch (call_class(name)) {
    case CALL_ORDINARY:
        return;
    case CALL_NEVER:
        if (!line->document->command.set)
            complain(line->document, line->place, "no policy may allow %s", name);
        else
            dangerous(line, "no worker may do it");
        return;
    case CALL_CODE:
        dangerous(line, "it changes what memory may do");
        return;
    case CALL_NARROW:
        dangerous(line, "the call does many things");
        return;
    case CALL_DANGEROUS:
        dangerous(line, "the call reaches beyond what the process holds");
        return;
    }
}

static void check_conditions(struct line *line, const struct rule *rule)
{
    bool command = line->document->command.set;
    const struct code_guard *guard = code_guard(rule->name);
    enum call_class class = call_class(rule->name);
    if (guard != NULL && !command && !is_guarded(rule, guard))
        complain(line->document, line->place, "%s is allowed only \"when %s\"", rule->name,
                 guard->text);
    if ((class == CALL_NARROW || (class == CALL_NEVER && command)) && rule->condition_count == 0)
        complain(line->document, line->place, "%s must be narrowed by \"when\"", rule->name);
}

static void add_rule(struct line *line, const struct rule *rule, const char *name)
{
    struct document *document = line->document;
    if (document->rule_count == DOCUMENT_RULES_MAX) {
        complain(document, line->place, "too many rules");
        return;
    }
    struct rule *added = &document->rules[document->rule_count++];
    *added = *rule;
    added->name = copy(name);
    added->number = seccomp_syscall_resolve_name(name);
    added->from_overlay = line->overlay;
}

void read_rule(struct line *line)
{
    const char *names[RULE_NAMES_MAX];
    size_t name_count = 0;
    const char *next;
    while ((next = word(line)) != NULL && strcmp(next, "when") != 0 && strcmp(next, ":") != 0) {
        if (name_count == RULE_NAMES_MAX) {
            complain(line->document, line->place, "too many names on one line");
            return;
        }
        names[name_count++] = next;
    }
    if (name_count == 0) {
        complain(line->document, line->place, "the name of a system call is missing");
        return;
    }
    struct rule rules[RULE_CHOICES] = {{.place = line->place}};
    size_t count = 1;
    if (next != NULL && strcmp(next, "when") == 0 && !read_conditions(line, rules, &count, &next))
        return;
    int error = 0;
    if (!read_action(line, next, &error))
        return;
    for (size_t n = 0; n < name_count; n++) {
        if (seccomp_syscall_resolve_name(names[n]) == __NR_SCMP_ERROR) {
            complain(line->document, line->place, "unknown system call \"%s\"", names[n]);
            continue;
        }
        if (error == 0)
            check_class(line, names[n]);
        for (size_t i = 0; i < count; i++) {
            rules[i].error = error;
            rules[i].name = names[n];
            if (error == 0)
                check_conditions(line, &rules[i]);
            add_rule(line, &rules[i], names[n]);
        }
    }
}

/* libseccomp lets an unconditional rule swallow conditional ones: that must not happen unseen. */
static void check_pair(struct document *document, const struct rule *first,
                       const struct rule *second)
{
    if (first->condition_count == 0 || second->condition_count == 0)
        complain(document, second->place, "%s has a rule at %s:%u already", second->name,
                 first->place.file, first->place.line);
}

/* What the overlay grants without condition replaces the rules that it would contradict. */
static bool is_replaced(const struct document *document, const struct rule *rule)
{
    if (rule->from_overlay)
        return false;
    for (size_t i = 0; i < document->rule_count; i++) {
        const struct rule *other = &document->rules[i];
        if (other->from_overlay && other->condition_count == 0 && other->number == rule->number)
            return true;
    }
    return false;
}

void check_rules(struct document *document)
{
    size_t kept = 0;
    for (size_t i = 0; i < document->rule_count; i++)
        if (document->rules[i].number >= 0 && !is_replaced(document, &document->rules[i]))
            document->rules[kept++] = document->rules[i];
    document->rule_count = kept;
    for (size_t i = 0; i < kept; i++)
        for (size_t j = i + 1; j < kept; j++)
            if (document->rules[i].number == document->rules[j].number)
                check_pair(document, &document->rules[i], &document->rules[j]);
}
