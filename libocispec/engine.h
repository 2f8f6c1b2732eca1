/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the parser share: frames, numbers, text, diagnostics. Private to libocispec. */
#ifndef OCISPEC_ENGINE_H
#define OCISPEC_ENGINE_H

#include "ocispec/schema.h"

/* An open bracket of the document. */
enum oci_frame_kind {
	OCI_FR_OBJECT,  /* an object with a table */
	OCI_FR_ARRAY,   /* an array that fills `field` */
	OCI_FR_MAP,     /* a map of strings that fills `field` */
	OCI_FR_OBJMAP,  /* a map of objects that fills `field` */
	OCI_FR_SKIP,    /* an object or array of an unknown property */
};

/* A list that doubles in the arena; what it outgrows stays there until the arena is released. */
struct oci_vec {
	char *v;
	size_t n, cap;
};

/* A key that no row stands for: remembered to find it twice. */
struct oci_key {
	const char *s;
	size_t len;
	size_t at;
};

struct oci_frame {
	enum oci_frame_kind kind;
	bool is_array;
	bool partial;                  /* OBJECT: a member was wrong and is missing in the object */
	const struct oci_desc *desc;   /* OBJECT: its table */
	const struct oci_field *field; /* OBJECT: row of the current key, NULL when unknown; others: the row to fill */
	char *obj;                     /* OBJECT: the object; others: the object that `field` belongs to */
	uint64_t seen;                 /* OBJECT: rows whose key was there, null or not */
	uint64_t set;                  /* OBJECT: rows that had a value */
	const char *key;               /* of the value that is being read, or NULL */
	size_t key_len;
	size_t index;                  /* in an array: of the value that is being read or comes next */
	size_t at;                     /* offset of the bracket */
	struct oci_vec items;          /* ARRAY, MAP, OBJMAP */
	struct oci_vec keys;           /* struct oci_key */
};

struct oci_parser {
	const struct oci_desc *desc;
	struct oci_arena *arena;
	const char *text;
	size_t len;
	const struct oci_notes *notes;
	struct oci_diag *d;
	void *yajl;
	void *root;
	size_t depth;                  /* open brackets */
	unsigned n_unknown;            /* notes about unknown properties so far */
	bool failed;                   /* *d is filled */
	bool fatal;                    /* nothing can be said of what follows */
	unsigned n_told;               /* errors that notes->fail has heard of */
	struct oci_diag first;         /* of them */
	bool finishing;                /* yajl has all of the text */
	size_t last_end;               /* offset behind the last token that made sense; `last` says what it was */
	enum oci_last { OCI_LAST_OPEN, OCI_LAST_KEY, OCI_LAST_VALUE } last;
	/* Second pass, after a rule has failed: look for the value at the path d->path. */
	bool locating;
	bool by_rule;                  /* the failure is a rule's: its position is `fail_at` or better */
	size_t fail_at;
	struct oci_frame frames[OCI_DEPTH_MAX];
};

/* A value as yajl gives it. */
enum oci_json { OCI_J_NULL, OCI_J_BOOL, OCI_J_NUMBER, OCI_J_STRING, OCI_J_OBJECT, OCI_J_ARRAY };
struct oci_value {
	enum oci_json type;
	bool b;
	const char *s; /* NUMBER: its text; STRING: decoded */
	size_t len;
	size_t end;    /* offset behind its last byte; of a bracket: behind it */
};

/* value.c. All return true, or false with the diagnostic filled. */
/* The offset of the first byte of the value. */
size_t oci_value_at(const struct oci_parser *p, const struct oci_value *v);
/* "expected an array", with the value. Always false. */
bool oci_wrong_type(struct oci_parser *p, const struct oci_field *f, bool element, const struct oci_value *v);
/* Check a scalar and put it into the member of row `f` in `obj`. */
bool oci_store(struct oci_parser *p, const struct oci_field *f, char *obj, const struct oci_value *v);
/* Check a scalar and append it to the list that the array's frame builds. */
bool oci_append(struct oci_parser *p, struct oci_frame *array, const struct oci_value *v);
/* Append a string to the map under the frame's current key. */
bool oci_map_add(struct oci_parser *p, struct oci_frame *map, const struct oci_value *v);
/* A zeroed new element of `size` bytes; NULL with the diagnostic filled. */
void *oci_vec_push(struct oci_parser *p, struct oci_vec *vec, size_t size);
void *oci_alloc(struct oci_parser *p, size_t size);
bool oci_out_of_memory(struct oci_parser *p);
/* Hand the finished list of an array or map to its member. */
bool oci_store_items(struct oci_parser *p, const struct oci_frame *f);
/* No key that the frame remembers is there twice. */
bool oci_keys_unique(struct oci_parser *p, struct oci_frame *f);

/* number.c: the exact value of a JSON number that is whole; `huge` when the magnitude is beyond 64 bits. */
struct oci_number {
	bool neg, huge;
	uint64_t mag;
};
/* False when the number has a fraction or an exponent. */
bool oci_number_read(const char *s, size_t len, struct oci_number *ret);
bool oci_number_within(const struct oci_number *n, int64_t lo, uint64_t hi);

/* check.c */
/* The range of a number row: its kind's, narrowed by MIN and MAX. */
void oci_field_range(const struct oci_field *f, int64_t *ret_lo, uint64_t *ret_hi);
/* NULL when the string is as the rule wants it, else the rule in words. */
const char *oci_text_check(enum oci_text t, const char *s, size_t len);
/* The rule's short name, for listings. */
const char *oci_text_name(enum oci_text t);
/* The number of the word, 0 when it isn't one of them. */
unsigned oci_words_find(const struct oci_words *w, const char *s, size_t len);

/* utf8.c */
/* Bytes of the valid sequence at `s`, 0 when it is not one (RFC 3629: no overlong forms, no surrogates). */
size_t oci_utf8_sequence(const char *s, size_t len);
bool oci_utf8_valid(const char *s, size_t len);
/* The offset of the first \u escape that no string may have, or `len`; *ret_why says why. */
size_t oci_escape_scan(const char *s, size_t len, const char **ret_why);

/* diag.c */
/* A text that is built in a fixed buffer: always terminated, cut at a character's border. */
struct oci_text_buf {
	char *s;
	size_t size, n;
};
void oci_buf_add(struct oci_text_buf *b, const char *s, size_t len);
/* Foreign bytes: control characters and what isn't UTF-8 become \xNN. At most `max` bytes of them, then "…". */
void oci_buf_add_foreign(struct oci_text_buf *b, const char *s, size_t len, size_t max);
void oci_buf_printf(struct oci_text_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "value" in quotes, fit to stand in a message. */
void oci_buf_add_quoted(struct oci_text_buf *b, const char *s, size_t len);

/* The JSON path of the value that is being read. */
void oci_path_write(const struct oci_parser *p, char *buf, size_t size);
/* Fill the diagnostic for the value being read, which stands at offset `at`. Return false. */
bool oci_fail(struct oci_parser *p, size_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Tell an error that isn't the last word, forget it, and go on. False when the parsing ends here. */
bool oci_recover(struct oci_parser *p);
/* Hand the diagnostic to notes->fail, with its position (parse.c). */
void oci_tell(struct oci_parser *p);
/* The same for a member of the object that is being closed: `rel` as in "devices[3].major". */
bool oci_rule_fail(struct oci_parser *p, const char *rel, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void oci_rule_warn(struct oci_parser *p, const char *rel, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void oci_note(struct oci_parser *p, enum oci_note level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Line and column (in characters) of an offset. */
void oci_diag_position(struct oci_diag *d, const char *text, size_t len, size_t at);
/* The word or row name nearest to what was written, or NULL when nothing is near. */
const char *oci_nearest_word(const struct oci_words *w, const char *s, size_t len);
const char *oci_nearest_row(const struct oci_desc *desc, const char *s, size_t len);

#endif
