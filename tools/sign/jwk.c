#include "jwk.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "complain.h"
#include "files.h"
#include "key.h"

#define FILE_MAX 65536

static const char *const profiles[] = {"none", "diagnostic", "user", "admin"};
#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static const char kid_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

int jwk_profile(const char *word)
{
    for (size_t i = 0; i < PROFILES; i++)
        if (strcmp(word, profiles[i]) == 0)
            return (int)i;
    return -1;
}

const char *jwk_profile_name(uint32_t profile)
{
    return profile < PROFILES ? profiles[profile] : "?";
}

static bool is_kid(const char *kid)
{
    size_t length = strlen(kid);
    return length >= 1 && length <= COMMAND_KID_MAX && strspn(kid, kid_characters) == length;
}

bool jwk_kid(const char *kid)
{
    if (is_kid(kid))
        return true;
    complain("allowed: 1 to 32 characters of a-z, 0-9, '.', '_' and '-'", "\"%s\" is no key id",
             shown(kid));
    return false;
}

json_t *jwk_write(const struct command_key *key)
{
    char x[BASE64URL_SIZE(32)], y[BASE64URL_SIZE(32)];
    uint32_t flags = le32toh(key->flags), profile = le32toh(key->profile);
    base64url_encode(x, key->point, 32);
    base64url_encode(y, key->point + 32, 32);
    json_t *jwk = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x",
                            x, "y", y, "alg", "ES256", "use", "sig", "kid", key->kid);
    if (jwk && profile)
        json_object_set_new(jwk, "profile", json_string(jwk_profile_name(profile)));
    if (jwk && flags & COMMAND_KEY_COUNTERSIGNS)
        json_object_set_new(jwk, "countersigns", json_true());
    if (jwk && flags & COMMAND_KEY_REVOKES)
        json_object_set_new(jwk, "revokes", json_true());
    return jwk;
}

/* ---- reading ---- */

static bool is_word(const json_t *jwk, const char *name, const char *word, bool optional)
{
    const json_t *value = json_object_get(jwk, name);
    if (!value)
        return optional;
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* RFC 7517 section 4.3 */
static bool verifies(const json_t *jwk)
{
    const json_t *list = json_object_get(jwk, "key_ops");
    const char *only = json_string_value(json_array_get(list, 0));
    return !list || (json_array_size(list) == 1 && only && strcmp(only, "verify") == 0);
}

static bool read_coordinate(uint8_t out[32], const json_t *jwk, const char *name)
{
    const json_t *value = json_object_get(jwk, name);
    return json_is_string(value) &&
           base64url_decode_exactly(out, 32, json_string_value(value), json_string_length(value));
}

static bool read_flag(uint32_t *flags, uint32_t flag, const json_t *jwk, const char *name)
{
    const json_t *value = json_object_get(jwk, name);
    if (value && !json_is_boolean(value))
        return false;
    *flags |= json_is_true(value) ? flag : 0;
    return true;
}

/* A member that is mistyped would take a power away, or leave one. */
static bool knows_all(const json_t *jwk)
{
    static const char *const known[] = {"kty",     "crv",          "x",      "y",
                                        "kid",     "alg",          "use",    "key_ops",
                                        "profile", "countersigns", "revokes"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)jwk, name, value)
    {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(name, known[i]) != 0)
            i++;
        if (i == sizeof(known) / sizeof(known[0]))
            return false;
    }
    return true;
}

/* NULL, or what is wrong with it. */
static const char *read_key(struct command_key *out, const json_t *jwk)
{
    const char *kid = json_string_value(json_object_get(jwk, "kid"));
    const json_t *profile = json_object_get(jwk, "profile");
    uint32_t flags = 0;
    int highest = 0;
    *out = (struct command_key){0};
    if (json_object_get(jwk, "d"))
        return "it is a PRIVATE key; only public ones belong here";
    if (!knows_all(jwk))
        return "it has a member that is not known: see docs/commands.md";
    if (!is_word(jwk, "kty", "EC", false) || !is_word(jwk, "crv", "P-256", false))
        return "it is not a key on P-256 (kty EC, crv P-256)";
    if (!is_word(jwk, "alg", "ES256", true) || !is_word(jwk, "use", "sig", true) || !verifies(jwk))
        return "it is for something else than ES256 signatures";
    if (!kid || !is_kid(kid))
        return "it has no kid, or not of 1 to 32 characters of a-z, 0-9, '.', '_' and '-'";
    if (!read_coordinate(out->point, jwk, "x") || !read_coordinate(out->point + 32, jwk, "y") ||
        !key_is_point(out->point))
        return "x and y are no point of P-256, in base64url";
    if (profile &&
        (!json_is_string(profile) || (highest = jwk_profile(json_string_value(profile))) < 0))
        return "its profile is none of none, diagnostic, user, admin";
    if (!read_flag(&flags, COMMAND_KEY_COUNTERSIGNS, jwk, "countersigns") ||
        !read_flag(&flags, COMMAND_KEY_REVOKES, jwk, "revokes"))
        return "countersigns and revokes are true or false";
    strcpy(out->kid, kid);
    out->flags = htole32(flags);
    out->profile = htole32((uint32_t)highest);
    return NULL;
}

static const char *add_key(struct command_keys *table, const json_t *jwk)
{
    uint32_t count = le32toh(table->count);
    struct command_key key;
    const char *fault = read_key(&key, jwk);
    if (fault)
        return fault;
    if (count == COMMAND_KEYS_MAX)
        return "there are more than 8 keys";
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(table->keys[i].kid, key.kid) == 0)
            return "there is another key of that id";
        if (memcmp(table->keys[i].point, key.point, sizeof(key.point)) == 0)
            return "the same key is there under another id: to revoke one would leave the other";
    }
    table->keys[count] = key;
    table->count = htole32(count + 1);
    return NULL;
}

static bool add(struct command_keys *table, const json_t *jwk, const char *path, size_t number)
{
    const json_t *kid = json_object_get(jwk, "kid");
    const char *fault = json_is_object(jwk) ? add_key(table, jwk) : "it is no JSON object";
    if (fault)
        complain(NULL, "%s: key %zu (%s): %s", shown(path), number,
                 json_is_string(kid) ? shown(json_string_value(kid)) : "without kid", fault);
    return !fault;
}

static bool add_all(struct command_keys *table, const json_t *root, const char *path)
{
    const json_t *keys = json_object_get(root, "keys");
    if (!keys)
        return add(table, root, path, 1);
    bool right = json_is_array(keys);
    if (!right)
        complain(NULL, "%s: \"keys\" is no list", shown(path));
    for (size_t i = 0; right && i < json_array_size(keys); i++)
        right = add(table, json_array_get(keys, i), path, i + 1);
    return right;
}

bool jwk_read_file(struct command_keys *table, const char *path)
{
    struct file file;
    json_error_t error;
    int failed = file_read(&file, path, FILE_MAX);
    if (failed) {
        complain(NULL, "%s: %s", shown(path), strerror(-failed));
        return false;
    }
    json_t *root =
        json_loadb((const char *)file.bytes, file.length, JSON_REJECT_DUPLICATES, &error);
    bool right = json_is_object(root);
    if (!root)
        complain("a JWK or a JWK set is expected (RFC 7517)", "%s: line %d: %s", shown(path),
                 error.line, shown(error.text));
    else if (!right)
        complain(NULL, "%s: neither a JWK nor a JWK set", shown(path));
    right = right && add_all(table, root, path);
    json_decref(root);
    file_free(&file);
    return right;
}

/* ---- the table ---- */

void jwk_table(struct command_keys *table)
{
    *table = (struct command_keys){.magic = COMMAND_KEYS_MAGIC};
}

const struct command_key *jwk_find(const struct command_keys *table, const char *kid, size_t length)
{
    for (uint32_t i = 0; i < le32toh(table->count); i++)
        if (strlen(table->keys[i].kid) == length && memcmp(table->keys[i].kid, kid, length) == 0)
            return &table->keys[i];
    return NULL;
}

static bool is_zero(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint8_t all = 0;
    for (size_t i = 0; i < length; i++)
        all |= at[i];
    return !all;
}

static const char *key_fault(const struct command_key *key)
{
    size_t length = strnlen(key->kid, sizeof(key->kid));
    if (length > COMMAND_KID_MAX || !is_kid(key->kid) ||
        !is_zero(key->kid + length, sizeof(key->kid) - length))
        return "an id is wrong";
    if (le32toh(key->profile) >= PROFILES)
        return "a profile is none";
    if (le32toh(key->flags) & ~(COMMAND_KEY_COUNTERSIGNS | COMMAND_KEY_REVOKES) || key->zero)
        return "a key has flags that are none";
    return key_is_point(key->point) ? NULL : "a key is no point of P-256";
}

const char *jwk_table_fault(const struct command_keys *table)
{
    uint32_t count = le32toh(table->count);
    if (memcmp(table->magic, COMMAND_KEYS_MAGIC, sizeof(table->magic)) != 0)
        return "it does not begin with " COMMAND_KEYS_MAGIC;
    if (count > COMMAND_KEYS_MAX || table->zero)
        return "the number of keys is wrong";
    for (uint32_t i = 0; i < count; i++) {
        const char *fault = key_fault(&table->keys[i]);
        if (fault)
            return fault;
        if (jwk_find(table, table->keys[i].kid, strlen(table->keys[i].kid)) != &table->keys[i])
            return "two keys have the same id";
    }
    if (!is_zero(table->keys + count, (COMMAND_KEYS_MAX - count) * sizeof(table->keys[0])) ||
        !is_zero(table->rest, sizeof(table->rest)))
        return "there is something behind the last key";
    return NULL;
}

void jwk_table_print(const struct command_keys *table)
{
    for (uint32_t i = 0; i < le32toh(table->count); i++) {
        const struct command_key *key = &table->keys[i];
        char fingerprint[KEY_FINGERPRINT_SIZE] = "?";
        uint32_t flags = le32toh(key->flags);
        key_fingerprint(fingerprint, key->point);
        printf("%s %s %s%s%s\n", key->kid, fingerprint, jwk_profile_name(le32toh(key->profile)),
               flags & COMMAND_KEY_COUNTERSIGNS ? " countersigns" : "",
               flags & COMMAND_KEY_REVOKES ? " revokes" : "");
    }
    if (!table->count)
        puts("no keys");
}
