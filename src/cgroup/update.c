/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the limits of a container as one step: planned writes and what the files say now become a list in an order
 * that the kernel accepts at every point of it; after the first failure all that was written is put back, last first. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "cgroup/internal.h"

/* The longest text that is read back (io.max of a host with many disks). */
#define TEXT_MAX 65536

/* Files in which the first word of a write names a line: what to write behind that word where there is no such line.
 * `bare`: a write without a name means the line "default". */
static const struct keyed {
	const char *file;
	const char *reset;
	bool bare;
} keyed_files[] = {
	{ "io.max", "rbps=max wbps=max riops=max wiops=max", false },
	{ "io.latency", "target=0", false },
	{ "io.weight", "default", true },
	{ "io.bfq.weight", "default", true },
	{ "rdma.max", "hca_handle=max hca_object=max", false },
	{ "misc.max", "max", false },
	{ "dmem.max", "max", false },
	{ "dmem.min", "0", false },
	{ "dmem.low", "0", false },
	{ "blkio.bfq.weight_device", "default", false },
	{ "blkio.throttle.read_bps_device", "0", false },
	{ "blkio.throttle.write_bps_device", "0", false },
	{ "blkio.throttle.read_iops_device", "0", false },
	{ "blkio.throttle.write_iops_device", "0", false },
	{ "net_prio.ifpriomap", "0", false },
};

static const struct keyed *find_keyed(const char *file)
{
	for (size_t i = 0; i < ARRAY_LEN(keyed_files); i++)
		if (streq(keyed_files[i].file, file))
			return &keyed_files[i];
	return NULL;
}

/* The line of `text` whose first word is the `n` bytes at `key`, or NULL. */
static const char *find_line(const char *text, const char *key, size_t n)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, key, n) == 0 && line[n] == ' ')
			return line;
	return NULL;
}

static const char *undo_keyed(const struct keyed *k, const char *value, const char *now, struct oci_arena *a)
{
	bool bare = k->bare && !strchr(value, ' ');
	const char *key = bare ? "default" : value;
	size_t n = strcspn(key, " ");
	const char *line = find_line(now, key, n);

	if (line)
		return oci_arena_strndup(a, line, strcspn(line, "\n"));
	return oci_arena_printf(a, "%.*s %s", (int)n, key, k->reset);
}

/* What must be written to `file` so that it reads as `now` again after `value` was written. *ret is NULL when nothing
 * can. */
static int undo_value(const char *file, const char *value, const char *now, struct oci_arena *a, const char **ret)
{
	static const char oom[] = "oom_kill_disable ";
	const struct keyed *k = find_keyed(file);
	size_t n = strcspn(now, "\n");

	*ret = NULL;
	if (k) {
		*ret = undo_keyed(k, value, now, a);
	} else if (streq(file, "memory.oom_control")) {
		const char *line = strstr(now, oom);
		*ret = oci_arena_strdup(a, line && line[sizeof(oom) - 1] == '1' ? "1" : "0");
	} else if (now[n] && now[n + 1]) {
		return 0; /* more lines than one: a form that isn't known here */
	} else {
		/* Nothing written is no write: an empty value goes as an empty line. */
		*ret = n ? oci_arena_strndup(a, now, n) : "\n";
	}
	return *ret ? 0 : -ENOMEM;
}

/* ---- order ---- */

/* The number that stands first in `text`: INT64_MAX for "max" and "-1", -1 for none. */
static int64_t number_of(const char *text)
{
	static const char suffixes[] = "KMGTP";
	char *end;

	if (!text || str_starts(text, "max") || str_starts(text, "-1"))
		return text ? INT64_MAX : -1;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	const char *s = *end ? strchr(suffixes, *end & ~0x20) : NULL;
	if (end == text)
		return -1;
	for (long i = s && *s ? s - suffixes + 1 : 0; i > 0; i--)
		v = v > (unsigned long long)INT64_MAX >> 10 ? (unsigned long long)INT64_MAX : v << 10;
	return errno || v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* The kernel refuses a step after which the first is above the second; for memory.high and the like it would only be
 * without sense for a moment. */
static const struct bound {
	const char *low, *high;
} bounds[] = {
	{ "memory.limit_in_bytes", "memory.memsw.limit_in_bytes" },
	{ "cpu.cfs_burst_us", "cpu.cfs_quota_us" },
	{ "cpu.max.burst", "cpu.max" },
	{ "memory.high", "memory.max" },
	{ "memory.low", "memory.max" },
	{ "memory.min", "memory.max" },
};

/* Time and period: their quotient is bounded by the parent's, so the step in between must be the smaller one. */
static const struct quotient {
	const char *part, *period;
} quotients[] = {
	{ "cpu.cfs_quota_us", "cpu.cfs_period_us" },
	{ "cpu.rt_runtime_us", "cpu.rt_period_us" },
};

static bool is_weight(const char *file)
{
	return streq(file, "cpu.weight") || streq(file, "cpu.shares");
}

/* Must `x` be written before `y`? At most one of precedes(x, y) and precedes(y, x) is true. */
static bool precedes(const struct cg_change *x, const struct cg_change *y)
{
	const char *a = x->w.file, *b = y->w.file;

	/* What can't be put back, or not to the letter, comes when nothing else can fail any more. */
	bool x_last = !x->undo || x->fallback, y_last = !y->undo || y->fallback;
	if (x_last != y_last)
		return y_last;
	if (x->w.hier != y->w.hier)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		if (streq(a, bounds[i].low) && streq(b, bounds[i].high))
			return number_of(x->w.value) <= number_of(y->now);
		if (streq(a, bounds[i].high) && streq(b, bounds[i].low))
			return number_of(y->w.value) > number_of(x->now);
	}
	for (size_t i = 0; i < ARRAY_LEN(quotients); i++) {
		if (streq(a, quotients[i].period) && streq(b, quotients[i].part))
			return number_of(x->w.value) >= number_of(x->now);
		if (streq(a, quotients[i].part) && streq(b, quotients[i].period))
			return number_of(y->w.value) < number_of(y->now);
	}
	/* Room in swap first, where there will be more of it: what memory loses can go there. */
	if (streq(a, "memory.swap.max") && streq(b, "memory.max"))
		return number_of(x->w.value) > number_of(x->now);
	if (streq(a, "memory.max") && streq(b, "memory.swap.max"))
		return number_of(y->w.value) <= number_of(y->now);
	/* An idle group takes no weight, and leaving idle sets it to the default. */
	if (streq(a, "cpu.idle") && is_weight(b))
		return number_of(x->w.value) == 0;
	return is_weight(a) && streq(b, "cpu.idle") && number_of(y->w.value) != 0;
}

void cg_update_order(struct cg_change *v, size_t n)
{
	/* What is next: the first that nothing else must precede. Equal ones keep the order of the plan. */
	for (size_t i = 0; i < n; i++) {
		size_t best = i;

		for (size_t k = i; k < n; k++) {
			bool free = true;

			for (size_t j = i; j < n && free; j++)
				free = j == k || !precedes(&v[j], &v[k]);
			if (free) {
				best = k;
				break;
			}
		}
		struct cg_change next = v[best];
		memmove(&v[i + 1], &v[i], (best - i) * sizeof(*v));
		v[i] = next;
	}
}

/* ---- what the files say now ---- */

static struct cg_change *find_change(struct cg_change *v, size_t n, int hier, const char *file)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].w.hier == hier && streq(v[i].w.file, file))
			return &v[i];
	return NULL;
}

/* A v2 cpuset that has nothing of its own has all of its parent's. Once it says something the kernel lets nobody empty it while there are processes in it
 * (ENOSPC, seen with 6.1): what it has now, by name, is the same. */
static int add_fallback(const struct cg_io *io, struct cg_change *c, struct oci_arena *a)
{
	bool cpuset = streq(c->w.file, "cpuset.cpus") || streq(c->w.file, "cpuset.mems");
	struct cg_write effective = c->w;
	char text[TEXT_MAX];

	if (!c->v2 || !cpuset || c->now[0] != '\n')
		return 0;
	effective.file = oci_arena_printf(a, "%s.effective", c->w.file);
	if (!effective.file || io->read(io->arg, &effective, text, sizeof(text)) < 0)
		return effective.file ? 0 : -ENOMEM;
	text[strcspn(text, "\n")] = '\0';
	c->fallback = oci_arena_strdup(a, text);
	return c->fallback ? 0 : -ENOMEM;
}

/* Read the file that `c` will write to: the other one where the kernel has only that. */
static int look(const struct cg_io *io, struct cg_change *c, struct oci_arena *a, struct err *e)
{
	char text[TEXT_MAX];
	ssize_t n = io->read(io->arg, &c->w, text, sizeof(text));

	if (n == -ENOENT && c->w.alt_file) {
		c->w.file = c->w.alt_file;
		c->w.value = c->w.alt_value;
		c->w.alt_file = NULL;
		n = io->read(io->arg, &c->w, text, sizeof(text));
	}
	/* Where the kernel can't limit it there is no limit. */
	if (n == -ENOENT && c->w.unlimited) {
		c->skip = c->no_undo = true;
		return 0;
	}
	if (n == -ENOENT || n == -ENODEV)
		return cg_write_failed(&c->w, (int)n, e);
	/* A file that can only be written. */
	if (n < 0)
		return 0;
	c->now = oci_arena_strdup(a, text);
	int r = c->now ? undo_value(c->w.file, c->w.value, c->now, a, &c->undo) : -ENOMEM;
	if (r == 0)
		r = add_fallback(io, c, a);
	return r < 0 ? err_sys(e, r, "read %s", c->w.file) : 0;
}

/* cpu.idle changes the weight behind our back: it has to be put back with it, and an idle group has none. */
static int add_weight(const struct cg_io *io, struct cg_change *v, size_t *n, struct oci_arena *a, struct err *e)
{
	for (size_t i = 0; i < *n; i++) {
		const char *file = v[i].v2 ? "cpu.weight" : "cpu.shares";
		struct cg_change *weight = streq(v[i].w.file, "cpu.idle") ? find_change(v, *n, v[i].w.hier, file) : NULL;

		if (!streq(v[i].w.file, "cpu.idle") || !v[i].now)
			continue;
		bool was_idle = number_of(v[i].now) == 1, will_be = number_of(v[i].w.value) == 1;
		if (weight && was_idle) {
			weight->skip = will_be;
			weight->no_undo = true;
		} else if (!weight && !was_idle && will_be) {
			struct cg_change extra = { .v2 = v[i].v2, .skip = true };
			extra.w = (struct cg_write){ .hier = v[i].w.hier, .file = file, .value = "", .origin = v[i].w.origin };
			int r = look(io, &extra, a, e);
			if (r < 0)
				return r;
			v[(*n)++] = extra;
		}
		return 0;
	}
	return 0;
}

int cg_update_list(const struct cg_layout *l, const struct cg_io *io, const struct cg_writes *w, struct oci_arena *a,
		   struct cg_change **ret, size_t *ret_n, struct err *e)
{
	struct cg_change *v = oci_arena_alloc(a, (w->n + 1) * sizeof(*v));
	size_t n = 0;

	if (!v)
		return err_sys(e, -ENOMEM, "plan the update");
	for (size_t i = 0; i < w->n; i++) {
		/* The last word about a file counts (unified, after what was converted); lines of keyed ones add up. */
		struct cg_change *c = find_keyed(w->v[i].file) ? NULL : find_change(v, n, w->v[i].hier, w->v[i].file);

		if (!c)
			c = &v[n++];
		*c = (struct cg_change){ .w = w->v[i], .v2 = l->h[w->v[i].hier].v2 };
		int r = look(io, c, a, e);
		if (r < 0)
			return r;
	}
	int r = add_weight(io, v, &n, a, e);
	if (r < 0)
		return r;
	cg_update_order(v, n);
	*ret = v;
	*ret_n = n;
	return 0;
}

/* ---- do it, or nothing ---- */

/* Put back what was written before v[n], last first. Names of files that can't be are added to `left`. */
static void put_back(const struct cg_io *io, const struct cg_change *v, size_t n, char *left, size_t size)
{
	for (size_t i = n; i-- > 0;) {
		struct cg_write w = v[i].w;
		struct err ignored;
		size_t at = strlen(left);

		if (v[i].no_undo)
			continue;
		w.value = v[i].undo;
		if (w.value && io->write(io->arg, &w, &ignored) == 0)
			continue;
		snprintf(left + at, size - at, "%s%s", at ? ", " : "", w.file);
		w.value = v[i].fallback;
		if (w.value)
			io->write(io->arg, &w, &ignored);
	}
}

/* A write that fails changes nothing, but one that reads back as something else did. */
static bool is_unchanged(const struct cg_io *io, const struct cg_change *c)
{
	char text[TEXT_MAX];

	return c->now && io->read(io->arg, &c->w, text, sizeof(text)) >= 0 && streq(text, c->now);
}

int cg_update_undo(const struct cg_io *io, const struct cg_change *v, size_t n, int r, struct err *e)
{
	char left[256] = "";

	put_back(io, v, n, left, sizeof(left));
	if (left[0])
		return err_wrap(e, r, "%s could not be put back", left);
	return err_wrap(e, r, "nothing is changed");
}

/* The kernel's EBUSY says that reclaim didn't help; how much there is the user has to know. */
static void add_usage(const struct cg_io *io, const struct cg_write *failed, struct err *e)
{
	struct cg_write usage = { .hier = failed->hier, .file = "memory.usage_in_bytes", .value = "" };
	char text[64];
	size_t n = strlen(e->msg);

	if (!str_starts(failed->file, "memory.") || io->read(io->arg, &usage, text, sizeof(text)) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	snprintf(e->msg + n, sizeof(e->msg) - n, ", %s bytes are in use", text);
}

int cg_update_run(const struct cg_io *io, const struct cg_change *v, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r = v[i].skip ? 0 : io->write(io->arg, &v[i].w, e);

		if (r >= 0)
			continue;
		if (r == -EBUSY)
			add_usage(io, &v[i].w, e);
		return cg_update_undo(io, v, is_unchanged(io, &v[i]) || !v[i].undo ? i : i + 1, r, e);
	}
	return 0;
}

/* ---- the real files ---- */

static ssize_t read_real(void *arg, const struct cg_write *w, char *buf, size_t size)
{
	const struct cgroup *cg = arg;
	struct err ignored;

	if (cg->dfd[w->hier] < 0)
		return -ENOENT;
	ssize_t n = io_read_at(cg->dfd[w->hier], w->file, buf, size);
	if (n == -ENOENT && cg->lay->h[w->hier].v2 && cg_enable_for(cg, w, &ignored) == 0)
		n = io_read_at(cg->dfd[w->hier], w->file, buf, size);
	return n;
}

static int write_real(void *arg, const struct cg_write *w, struct err *e)
{
	return cg_write_one(arg, w, e);
}

/* A directory that carries somebody else's mark stands where the container's was. */
static int check_owners(const struct cgroup *cg, const char *token, struct err *e)
{
	for (unsigned i = 0; i < cg->lay->n; i++)
		if (cg->dfd[i] >= 0 && cg_owner_of(cg, (int)i, token) == CG_OWNER_OTHER)
			return err_set(e, ERR_STATE, EPERM, "update cgroup %s%s: it carries another container's token",
				       cg->lay->h[i].dir, cg->path);
	return 0;
}

int cg_update_before(const struct cgroup *cg, const struct cg_writes *w, struct oci_arena *a, struct cg_writes *ret, struct err *e)
{
	struct cgroup same = *cg;
	const struct cg_io io = { .read = read_real, .write = write_real, .arg = &same };
	struct cg_change *v = NULL;
	size_t n = 0;

	int r = cg_update_list(cg->lay, &io, w, a, &v, &n, e);
	if (r < 0)
		return r;
	*ret = (struct cg_writes){ .v = oci_arena_alloc(a, (n + 1) * sizeof(*ret->v)) };
	if (!ret->v)
		return err_sys(e, -ENOMEM, "note the values before the update");
	for (size_t i = 0; i < n; i++) {
		if (!v[i].undo)
			continue;
		ret->v[ret->n] = v[i].w;
		/* All that is in a cpuset that said nothing: the kernel doesn't let it be emptied again. */
		ret->v[ret->n++].value = v[i].fallback ? v[i].fallback : v[i].undo;
	}
	return 0;
}

int cg_update(const struct cgroup *cg, const char *token, const struct cg_writes *w, const struct cg_devices *d,
	      struct err *e)
{
	struct cgroup same = *cg;
	const struct cg_io io = { .read = read_real, .write = write_real, .arg = &same };
	struct oci_arena a = { 0 };
	struct cg_change *v = NULL;
	size_t n = 0;

	int r = check_owners(cg, token, e);
	if (r == 0)
		r = cg_update_list(cg->lay, &io, w, &a, &v, &n, e);
	if (r == 0)
		r = cg_update_run(&io, v, n, e);
	if (r == 0 && d) {
		r = cg_devices_replace(cg, d, e);
		if (r < 0)
			cg_update_undo(&io, v, n, r, e);
	}
	oci_arena_release(&a);
	return r;
}
