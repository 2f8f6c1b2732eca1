/* SPDX-License-Identifier: Apache-2.0 */
/* What a descriptor table is made of: one row per property, one table per object of the specification.
 *
 * A row's macro names the C type that its member must have; `_Generic` has no branch for any other type, so a row
 * whose kind doesn't fit its member doesn't compile. Private to libocispec and its tests. */
#ifndef OCISPEC_SCHEMA_H
#define OCISPEC_SCHEMA_H

#include "ocispec/ocispec.h"

struct oci_parser;

enum oci_kind {
	OCI_K_SKIP,   /* known and without effect on Linux: accepted, not looked at */
	OCI_K_BOOL,   /* struct opt_bool */
	OCI_K_I64,    /* struct opt_i64 */
	OCI_K_U64,    /* struct opt_u64 */
	OCI_K_I32,    /* struct opt_i32 */
	OCI_K_U32,    /* struct opt_u32 */
	OCI_K_STR,    /* const char * */
	OCI_K_WORD,   /* an enum whose 0 is "absent" */
	OCI_K_STRV,   /* struct oci_strv */
	OCI_K_U32V,   /* struct oci_u32v */
	OCI_K_WORDV,  /* struct oci_enumv */
	OCI_K_MAP,    /* struct oci_map */
	OCI_K_OBJ,    /* pointer to an object */
	OCI_K_OBJV,   /* array of objects and its count */
	OCI_K_OBJMAP, /* map of objects: an array whose elements keep their key in a member */
	OCI_K_N
};

/* What a string has to look like (check.c has the words for each). */
enum oci_text {
	OCI_TEXT_ANY,
	OCI_TEXT_NONEMPTY,
	OCI_TEXT_ABSOLUTE,
	OCI_TEXT_ACCESS,
	OCI_TEXT_CPU_LIST,
	OCI_TEXT_ENV,
	OCI_TEXT_SEMVER,
	OCI_TEXT_PAGE_SIZE,
	OCI_TEXT_MEM_BW,
	OCI_TEXT_ONE_LINE,
	OCI_TEXT_CLOS_ID,
	OCI_TEXT_FILE_NAME,
	OCI_TEXT_CAP_NAME,
	OCI_TEXT_N
};

/* A fixed vocabulary; the index of a word is its number, word[0] is "absent" and NULL. */
struct oci_words {
	const char *const *word;
	unsigned n;
};

struct oci_field {
	const char *name;
	const struct oci_words *words; /* of WORD, WORDV; of STR, STRV where only these words are allowed */
	const struct oci_desc *desc;   /* of OBJ, OBJV, OBJMAP */
	int64_t min;
	uint64_t max;
	uint64_t unset;                /* this number counts as absent */
	uint16_t off, off_n, off_key;  /* the member; its count; the key's member in an element of OBJMAP */
	uint8_t name_len;
	uint8_t kind;                  /* enum oci_kind */
	uint8_t text, key_text;        /* enum oci_text: of the string or each string; of a map's keys */
	uint8_t min_items;
	bool required : 1, has_min : 1, has_max : 1, has_unset : 1;
};

struct oci_desc {
	const char *name;              /* of the C struct */
	const struct oci_field *fields;
	unsigned n;
	unsigned size;
	/* Cross-field rules, run when the object is complete: true, or false after oci_rule_fail(). */
	bool (*rule)(struct oci_parser *p, const void *obj);
};

/* `seen` of a frame is 64 bits wide: more rows than that don't compile. */
#define OCI_ROWS(f) (sizeof(f) / sizeof((f)[0]) / (sizeof(f) / sizeof((f)[0]) <= 64))
#define DESC(T, rows, check) \
	{ .name = #T, .fields = (rows), .n = OCI_ROWS(rows), .size = sizeof(struct T), .rule = (check) }

#define OCI_MEMBER(T, m, C, K) .off = offsetof(struct T, m), .kind = _Generic(&((struct T *)0)->m, C *: (K))
#define OCI_NAME(s) .name = (s), .name_len = sizeof(s) - 1

#define F_BOOL(T, m, s, ...) { OCI_NAME(s), OCI_MEMBER(T, m, struct opt_bool, OCI_K_BOOL), __VA_ARGS__ }
#define F_I64(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, struct opt_i64, OCI_K_I64), __VA_ARGS__ }
#define F_U64(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, struct opt_u64, OCI_K_U64), __VA_ARGS__ }
#define F_I32(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, struct opt_i32, OCI_K_I32), __VA_ARGS__ }
#define F_U32(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, struct opt_u32, OCI_K_U32), __VA_ARGS__ }
#define F_STR(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, const char *, OCI_K_STR), __VA_ARGS__ }
#define F_STRV(T, m, s, ...) { OCI_NAME(s), OCI_MEMBER(T, m, struct oci_strv, OCI_K_STRV), __VA_ARGS__ }
#define F_U32V(T, m, s, ...) { OCI_NAME(s), OCI_MEMBER(T, m, struct oci_u32v, OCI_K_U32V), __VA_ARGS__ }
#define F_MAP(T, m, s, ...)  { OCI_NAME(s), OCI_MEMBER(T, m, struct oci_map, OCI_K_MAP), __VA_ARGS__ }
/* E is the tag of the enum: its words are E_words. */
#define F_WORD(T, m, s, E, ...) \
	{ OCI_NAME(s), OCI_MEMBER(T, m, enum E, OCI_K_WORD), .words = &E##_words, __VA_ARGS__ }
#define F_WORDV(T, m, s, E, ...) \
	{ OCI_NAME(s), OCI_MEMBER(T, m, struct oci_enumv, OCI_K_WORDV), .words = &E##_words, __VA_ARGS__ }
/* S is the tag of the object's struct: its table is S_desc. */
#define F_OBJ(T, m, s, S, ...) { OCI_NAME(s), OCI_MEMBER(T, m, struct S *, OCI_K_OBJ), .desc = &S##_desc, __VA_ARGS__ }
#define F_OBJV(T, m, s, S, ...) \
	{ OCI_NAME(s), OCI_MEMBER(T, m, struct S *, OCI_K_OBJV), .off_n = offsetof(struct T, n_##m), \
	  .desc = &S##_desc, __VA_ARGS__ }
#define F_OBJMAP(T, m, s, S, key, ...) \
	{ OCI_NAME(s), OCI_MEMBER(T, m, struct S *, OCI_K_OBJMAP), .off_n = offsetof(struct T, n_##m), \
	  .off_key = offsetof(struct S, key), .desc = &S##_desc, __VA_ARGS__ }
#define F_SKIP(s) { OCI_NAME(s), .kind = OCI_K_SKIP }

/* What may follow in a row. */
#define REQUIRED      .required = true
#define MIN(x)        .has_min = true, .min = (x)
#define MAX(x)        .has_max = true, .max = (x)
#define UNSET(x)      .has_unset = true, .unset = (x)
#define TEXT(x)       .text = OCI_TEXT_##x
#define KEYS(x)       .key_text = OCI_TEXT_##x
#define IN(words_)    .words = &(words_)
#define MIN_ITEMS(x)  .min_items = (x)

extern const struct oci_words oci_namespace_type_words, oci_device_type_words, oci_device_rule_type_words,
	oci_propagation_words, oci_seccomp_action_words, oci_seccomp_op_words, oci_seccomp_flag_words,
	oci_seccomp_arch_words, oci_sched_policy_words, oci_sched_flag_words, oci_ioprio_class_words,
	oci_personality_domain_words, oci_mpol_mode_words, oci_mpol_flag_words, oci_status_words, oci_rlimit_words;

/* Tables that more than one file uses. */
extern const struct oci_desc oci_id_mapping_desc, oci_linux_desc, oci_seccomp_desc, oci_state_exit_desc;


/* rules.c */
bool oci_rule_mount(struct oci_parser *p, const void *obj);
bool oci_rule_process(struct oci_parser *p, const void *obj);
bool oci_rule_scheduler(struct oci_parser *p, const void *obj);
bool oci_rule_linux(struct oci_parser *p, const void *obj);
bool oci_rule_device(struct oci_parser *p, const void *obj);
bool oci_rule_cpu(struct oci_parser *p, const void *obj);
bool oci_rule_weight_device(struct oci_parser *p, const void *obj);
bool oci_rule_rdma(struct oci_parser *p, const void *obj);
bool oci_rule_seccomp(struct oci_parser *p, const void *obj);
bool oci_rule_syscall(struct oci_parser *p, const void *obj);

#endif
