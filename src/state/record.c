/* SPDX-License-Identifier: Apache-2.0 */
/* state.json: one line of JSON with a checksum in front of the record proper, written and read by a descriptor table.
 *
 *	{"version":1,"checksum":"0123456789abcdef",
 *	"record":{"token":…}}
 *
 * The frame is compared byte by byte and the checksum covers version and record, so no damaged byte is ever
 * accepted. The token comes first: of a file that was cut off it is what matters. */
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "ocispec/schema.h"
#include "state/layout.h"

#define SUM_HEX 16
#define FRAME_VERSION "{\"version\":"
#define FRAME_SUM ",\"checksum\":\""
#define FRAME_RECORD "\",\n\"record\":"
#define FRAME_END "}\n"

/* The record as the tables can describe it. */
enum rec_stage { REC_STAGE_NONE, REC_STAGE_CREATING, REC_STAGE_CREATED };

static const char *const stage_word[] = { NULL, "creating", "created" };
static const char *const undo_kind_word[] = { NULL, "process", "cgroup", "rdt", "scope", "user-scope" };
static const struct oci_words rec_stage_words = { stage_word, ARRAY_LEN(stage_word) };
static const struct oci_words undo_kind_words = { undo_kind_word, ARRAY_LEN(undo_kind_word) };

struct rec_undo {
	enum undo_kind kind;
	const char *arg;
};

struct rec_ns {
	enum oci_namespace_type type;
	struct opt_u64 dev, ino;
};

struct rec_init {
	struct opt_i64 pid;
	struct opt_u64 start_time, pidfs_ino;
};

struct rec_doc {
	const char *token;
	struct rec_undo *undo; size_t n_undo;
	const char *id;
	enum rec_stage stage;
	const char *boot_id, *bundle, *rootfs, *created, *owner, *oci_version, *config_sum;
	struct rec_init *init;
	struct opt_u32 cgroup_made;
	struct opt_bool systemd_cgroup, callers_keyring;
	struct rec_ns *ns; size_t n_ns;
	struct oci_map annotations;
	struct oci_strv allowed_annotations;
	struct oci_state_exit *exit;
};

static const struct oci_field rec_undo_f[] = {
	F_WORD(rec_undo, kind, "kind", undo_kind, REQUIRED),
	F_STR(rec_undo, arg, "arg"),
};
static const struct oci_desc rec_undo_desc = DESC(rec_undo, rec_undo_f, NULL);

static const struct oci_field rec_ns_f[] = {
	F_WORD(rec_ns, type, "type", oci_namespace_type, REQUIRED),
	F_U64(rec_ns, dev, "dev", REQUIRED),
	F_U64(rec_ns, ino, "ino", REQUIRED),
};
static const struct oci_desc rec_ns_desc = DESC(rec_ns, rec_ns_f, NULL);

static const struct oci_field rec_init_f[] = {
	F_I64(rec_init, pid, "pid", REQUIRED, MIN(1), MAX(INT32_MAX)),
	F_U64(rec_init, start_time, "startTime", REQUIRED),
	F_U64(rec_init, pidfs_ino, "pidfsInode"),
};
static const struct oci_desc rec_init_desc = DESC(rec_init, rec_init_f, NULL);

static const struct oci_field rec_doc_f[] = {
	F_STR(rec_doc, token, "token", REQUIRED),
	F_OBJV(rec_doc, undo, "undo", rec_undo),
	F_STR(rec_doc, id, "id", REQUIRED),
	F_WORD(rec_doc, stage, "stage", rec_stage, REQUIRED),
	F_STR(rec_doc, boot_id, "bootId", REQUIRED),
	F_STR(rec_doc, bundle, "bundle", REQUIRED),
	F_STR(rec_doc, rootfs, "rootfs"),
	F_STR(rec_doc, created, "created", REQUIRED),
	F_STR(rec_doc, owner, "owner"),
	F_STR(rec_doc, oci_version, "ociVersion"),
	F_STR(rec_doc, config_sum, "configChecksum", REQUIRED),
	F_OBJ(rec_doc, init, "init", rec_init),
	F_U32(rec_doc, cgroup_made, "cgroupMade"),
	F_BOOL(rec_doc, systemd_cgroup, "systemdCgroup"),
	F_BOOL(rec_doc, callers_keyring, "callersKeyring"),
	F_OBJV(rec_doc, ns, "namespaces", rec_ns),
	F_MAP(rec_doc, annotations, "annotations"),
	F_STRV(rec_doc, allowed_annotations, "allowedAnnotations"),
	F_OBJ(rec_doc, exit, "exit", oci_state_exit),
};
static const struct oci_desc rec_doc_desc = DESC(rec_doc, rec_doc_f, NULL);

static uint64_t record_sum(uint32_t version, const char *record, size_t len)
{
	char text[NUM_U64_MAX_CHARS];
	unsigned n = num_print_u64(text, version);

	return num_sum64(num_sum64(NUM_SUM64_START, text, n), record, len);
}

const char *state_rec_cgroup(const struct state_rec *rec)
{
	for (size_t i = 0; i < rec->n_undo; i++)
		if (rec->undo[i].kind == UNDO_CGROUP)
			return rec->undo[i].arg;
	return NULL;
}

const char *state_rec_scope(const struct state_rec *rec, bool *ret_user)
{
	for (size_t i = 0; i < rec->n_undo; i++) {
		*ret_user = rec->undo[i].kind == UNDO_USER_SCOPE;
		if (rec->undo[i].kind == UNDO_SCOPE || *ret_user)
			return rec->undo[i].arg;
	}
	return NULL;
}

/* ---- writing ---- */

static int doc_add_lists(struct rec_doc *doc, const struct state_rec *rec, struct oci_arena *a)
{
	doc->undo = oci_arena_alloc(a, rec->n_undo * sizeof(*doc->undo) + 1);
	doc->ns = oci_arena_alloc(a, OCI_NS_MAX * sizeof(*doc->ns));
	if (!doc->undo || !doc->ns)
		return -ENOMEM;
	doc->allowed_annotations.v = (const char **)(uintptr_t)rec->allowed_annotations;
	while (rec->allowed_annotations && rec->allowed_annotations[doc->allowed_annotations.n])
		doc->allowed_annotations.n++;
	doc->allowed_annotations.set = doc->allowed_annotations.n > 0;
	for (size_t i = 0; i < rec->n_undo; i++)
		doc->undo[doc->n_undo++] = (struct rec_undo){ .kind = (enum undo_kind)rec->undo[i].kind, .arg = rec->undo[i].arg };
	for (int t = OCI_NS_NONE + 1; t < OCI_NS_MAX; t++)
		if (rec->ns[t].ino)
			doc->ns[doc->n_ns++] = (struct rec_ns){
				.type = (enum oci_namespace_type)t,
				.dev = { true, rec->ns[t].dev },
				.ino = { true, rec->ns[t].ino },
			};
	return 0;
}

/* Where bytes are not UTF-8 the writer puts \ufffd, and only there (the character itself is written as it
 * is). Such a text would not come back as it was. */
static bool is_lossy(const char *json)
{
	for (const char *s = strchr(json, '\\'); s; s = strchr(s + 2, '\\'))
		if (str_starts(s, "\\ufffd"))
			return true;
	return false;
}

static const char *write_doc(const struct state_dir *d, const struct state_rec *rec, struct oci_arena *a,
			     size_t *ret_len)
{
	struct rec_init init = {
		.pid = { true, rec->init.pid },
		.start_time = { true, rec->init.start_time },
		.pidfs_ino = { rec->init.pidfs_ino != 0, rec->init.pidfs_ino },
	};
	struct rec_doc doc = {
		.token = rec->token,
		.id = rec->id,
		.bundle = rec->bundle,
		.rootfs = rec->rootfs,
		.created = rec->created,
		.owner = rec->owner,
		.boot_id = rec->boot_id,
		.oci_version = rec->oci_version,
		.stage = rec->stage == STAGE_CREATED ? REC_STAGE_CREATED : REC_STAGE_CREATING,
		.config_sum = oci_arena_printf(a, "%016" PRIx64, d->config_sum),
		.init = rec->init.pid ? &init : NULL,
		.cgroup_made = { true, rec->cgroup_made },
		.systemd_cgroup = { true, rec->systemd_cgroup },
		.callers_keyring = { rec->callers_keyring, true },
		.annotations = rec->annotations,
		.exit = rec->exit,
	};
	size_t len;

	if (!doc.config_sum || doc_add_lists(&doc, rec, a) < 0)
		return NULL;
	const char *text = oci_write(&rec_doc_desc, &doc, 0, a, &len);
	if (!text)
		return NULL;
	char *whole = oci_arena_printf(a, FRAME_VERSION "%u" FRAME_SUM "%016" PRIx64 FRAME_RECORD "%s" FRAME_END,
				       rec->version, record_sum(rec->version, text, len), text);
	*ret_len = whole ? strlen(whole) : 0;
	return whole;
}

int state_rec_write(const struct state_dir *d, const struct state_rec *rec, struct err *e)
{
	struct oci_arena a = { 0 };
	size_t len;

	if (!d->has_config_sum)
		return err_set(e, ERR_BUG, EINVAL,
			       "write the record of container \"%s\" before its configuration is known", d->id);
	const char *text = write_doc(d, rec, &a, &len);
	bool lossy = text && is_lossy(text);
	int r = text ? 0 : -ENOMEM;
	if (r == 0 && !lossy)
		r = io_replace_at(d->dfd, STATE_RECORD_FILE, text, len, 0600);
	oci_arena_release(&a);
	if (lossy)
		return err_set(e, ERR_USAGE, 0, "bundle \"%s\" or a name in it — not valid UTF-8, as JSON has to be",
			       rec->bundle);
	return r < 0 ? err_sys(e, r, "write %s of container \"%s\"", STATE_RECORD_FILE, d->id) : 0;
}

/* ---- reading ---- */

static int read_file(const struct state_dir *d, const char *name, struct oci_arena *a, char **ret, size_t *ret_len)
{
	scoped_fd int fd = openat(d->dfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)OCI_DOC_MAX)
		return -EBADMSG;
	/* It may only be replaced, never grow: one byte more shows that nobody does. */
	size_t size = (size_t)st.st_size + 2;
	*ret = oci_arena_alloc(a, size);
	if (!*ret)
		return -ENOMEM;
	ssize_t n = io_read_fd(fd, *ret, size);
	if (n < 0)
		return n == -EFBIG ? -EBADMSG : (int)n;
	*ret_len = (size_t)n;
	return 0;
}

/* Exactly 16 lower-case hexadecimal digits, as they were written. */
static bool read_sum(const char *s, uint64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < SUM_HEX; i++) {
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
		*ret = *ret << 4 | (uint64_t)(s[i] <= '9' ? s[i] - '0' : s[i] - 'a' + 10);
	}
	return true;
}

static const char *skip(const char *s, const char *prefix)
{
	return s && str_starts(s, prefix) ? s + strlen(prefix) : NULL;
}

/* Check the frame and the checksum. Gives the record's text, cut out of `text`. */
static int open_frame(char *text, size_t len, uint32_t *ret_version, char **ret_record, size_t *ret_len)
{
	const char *s = skip(text, FRAME_VERSION);
	size_t end = strlen(FRAME_END), digits = s ? strspn(s, "0123456789") : 0;
	char number[NUM_U64_MAX_CHARS];
	uint64_t version, sum;

	if (strlen(text) != len || digits == 0 || digits >= sizeof(number) || s[0] == '0')
		return -EBADMSG;
	memcpy(number, s, digits);
	number[digits] = '\0';
	s = skip(s + digits, FRAME_SUM);
	if (num_parse_u64(number, UINT32_MAX, &version) < 0 || !s || !read_sum(s, &sum))
		return -EBADMSG;
	s = skip(s + SUM_HEX, FRAME_RECORD);
	if (!s || strlen(s) < end || !streq(s + strlen(s) - end, FRAME_END))
		return -EBADMSG;
	*ret_record = text + (s - text);
	*ret_len = strlen(s) - end;
	*ret_version = (uint32_t)version;
	return record_sum(*ret_version, *ret_record, *ret_len) == sum ? 0 : -EBADMSG;
}

static bool is_token(const char *s)
{
	return strspn(s, "0123456789abcdef") == 2 * STATE_TOKEN_LEN && s[2 * STATE_TOKEN_LEN] == '\0';
}

/* The plain string (no escapes) behind the first `key` in what is left of a record, or NULL. */
static const char *find_plain(const char *text, size_t len, const char *key, struct oci_arena *a)
{
	size_t k = strlen(key);

	for (size_t i = 0; i + k <= len; i++) {
		if (memcmp(text + i, key, k) != 0)
			continue;
		const char *v = text + i + k, *quote = memchr(v, '"', len - i - k);
		if (!quote || memchr(v, '\\', (size_t)(quote - v)) || memchr(v, '\0', (size_t)(quote - v)))
			return NULL;
		return oci_arena_strndup(a, v, (size_t)(quote - v));
	}
	return NULL;
}

/* Of a damaged record nothing is believed but what the kernel can confirm: a cgroup by this path that
 * carries this token. A pid or a boot id could have become another one. */
static void salvage(const struct state_dir *d, const char *text, size_t len, struct oci_arena *a,
		    struct state_rec *ret)
{
	const char *token = find_plain(text, len, "\"token\":\"", a);
	const char *cgroup = find_plain(text, len, "{\"kind\":\"cgroup\",\"arg\":\"", a);

	*ret = (struct state_rec){ .id = d->id };
	if (!token || !is_token(token) || !cgroup)
		return;
	ret->undo = oci_arena_alloc(a, sizeof(*ret->undo));
	if (!ret->undo)
		return;
	memcpy(ret->token, token, sizeof(ret->token));
	ret->undo[0] = (struct undo){ .kind = UNDO_CGROUP, .arg = cgroup };
	ret->n_undo = 1;
}

static int take_lists(const struct rec_doc *doc, struct oci_arena *a, struct state_rec *ret)
{
	ret->undo = oci_arena_alloc(a, doc->n_undo * sizeof(*ret->undo) + 1);
	const struct oci_strv *allowed = &doc->allowed_annotations;
	const char **names = oci_arena_alloc(a, (allowed->n + 1) * sizeof(*names));
	if (!ret->undo || !names)
		return -ENOMEM;
	for (size_t i = 0; i < allowed->n; i++)
		names[i] = allowed->v[i];
	ret->allowed_annotations = names;
	for (size_t i = 0; i < doc->n_undo; i++) {
		if (doc->undo[i].kind != UNDO_PROCESS && !doc->undo[i].arg)
			return -EBADMSG;
		ret->undo[ret->n_undo++] = (struct undo){ .kind = (uint8_t)doc->undo[i].kind, .arg = doc->undo[i].arg };
	}
	for (size_t i = 0; i < doc->n_ns; i++)
		ret->ns[doc->ns[i].type] = (struct ns_id){ .dev = doc->ns[i].dev.v, .ino = doc->ns[i].ino.v };
	return 0;
}

static int take_doc(struct state_dir *d, uint32_t version, const struct rec_doc *doc, struct oci_arena *a,
		    struct state_rec *ret)
{
	uint64_t sum;

	if (!is_token(doc->token) || strlen(doc->config_sum) != SUM_HEX || !read_sum(doc->config_sum, &sum) ||
	    !streq(doc->id, d->id))
		return -EBADMSG;
	*ret = (struct state_rec){
		.version = version,
		.stage = doc->stage == REC_STAGE_CREATED ? STAGE_CREATED : STAGE_CREATING,
		.id = doc->id,
		.bundle = doc->bundle,
		.rootfs = doc->rootfs,
		.created = doc->created,
		.owner = doc->owner,
		.boot_id = doc->boot_id,
		.oci_version = doc->oci_version,
		.cgroup_made = doc->cgroup_made.v,
		.systemd_cgroup = doc->systemd_cgroup.v,
		.callers_keyring = doc->callers_keyring.v,
		.annotations = doc->annotations,
		.exit = doc->exit,
	};
	memcpy(ret->token, doc->token, sizeof(ret->token));
	if (doc->init)
		ret->init = (struct proc_id){ .pid = (pid_t)doc->init->pid.v, .start_time = doc->init->start_time.v,
					      .pidfs_ino = doc->init->pidfs_ino.v };
	d->config_sum = sum;
	d->has_config_sum = true;
	return take_lists(doc, a, ret);
}

/* A sound frame of our version, and the document in it. */
static int decode(struct state_dir *d, char *record, size_t len, uint32_t version, struct oci_arena *a,
		  struct state_rec *ret, struct oci_diag *diag)
{
	const struct rec_doc *doc = oci_parse(&rec_doc_desc, a, record, len, NULL, diag);

	return doc ? take_doc(d, version, doc, a, ret) : -EBADMSG;
}

int state_rec_read(struct state_dir *d, struct oci_arena *a, struct state_rec *ret, struct err *e)
{
	struct oci_diag diag = { .msg = "checksum does not match" };
	char *text = NULL, *record = NULL;
	uint32_t version = 0;
	size_t len = 0, record_len = 0;

	*ret = (struct state_rec){ .id = d->id };
	int r = read_file(d, STATE_RECORD_FILE, a, &text, &len);
	if (r < 0 && r != -EBADMSG)
		return err_sys(e, r, "read %s of container \"%s\"", STATE_RECORD_FILE, d->id);
	if (r == 0)
		r = open_frame(text, len, &version, &record, &record_len);
	if (r == 0 && version != STATE_VERSION) {
		err_set(e, ERR_UNSUPPORTED, 0,
			"state record of container \"%s\" has version %u: this hull reads version %d", d->id,
			version, STATE_VERSION);
		return -ENOTSUP;
	}
	if (r == 0)
		r = decode(d, record, record_len, version, a, ret, &diag);
	if (r == 0)
		return 0;
	if (r == -EBADMSG) {
		salvage(d, text ? text : "", len, a, ret);
		err_set(e, ERR_STATE, 0, "state record of container \"%s\" is damaged: %s", d->id,
			text ? diag.msg : "no regular file");
		return r;
	}
	return err_sys(e, r, "read %s of container \"%s\"", STATE_RECORD_FILE, d->id);
}

int state_config_read(const struct state_dir *d, struct oci_arena *a, struct oci_config **ret, struct err *e)
{
	struct oci_diag diag = { 0 };
	char *text = NULL;
	size_t len = 0;

	if (!d->has_config_sum)
		return err_set(e, ERR_BUG, EINVAL, "read the configuration of container \"%s\" before its record",
			       d->id);
	int r = read_file(d, STATE_CONFIG_FILE, a, &text, &len);
	if (r == 0 && num_sum64(NUM_SUM64_START, text, len) != d->config_sum)
		r = -EBADMSG;
	if (r == -EBADMSG) {
		err_set(e, ERR_STATE, 0, "configuration of container \"%s\" in the state directory is damaged",
			d->id);
		return r;
	}
	if (r < 0)
		return err_sys(e, r, "read %s of container \"%s\"", STATE_CONFIG_FILE, d->id);
	*ret = oci_parse(&oci_config_desc, a, text, len, NULL, &diag);
	if (*ret)
		return 0;
	return err_config(e, diag.path, "own copy of container \"%s\": %s", d->id, diag.msg);
}
