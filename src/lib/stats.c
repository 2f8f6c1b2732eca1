/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a running container: of its cgroup, and of the network interfaces in a network namespace of its own. No namespace is
 * entered: /proc/PID/net/dev is of the process's namespace for whoever reads it. */
#include "lib/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/io.h"
#include "base/num.h"
#include "ocispec/ocispec.h"

/* 200 bytes an interface; a host with more than 80,000 is an error. */
#define NET_DEV_MAX (16 << 20)

static int open_cgroup(const struct container *c, struct cg_layout *lay, struct cgroup *ret, struct err *e)
{
	const char *path = state_rec_cgroup(&c->rec);

	if (!path)
		return err_set(e, ERR_STATE, 0, "container \"%s\" has no cgroup: nothing is counted", c->rec.id);
	int r = cg_layout_detect(lay, e);
	if (r == 0)
		r = cg_open(lay, path, ret, e);
	if (r != 0)
		return r < 0 ? r : 0;
	return err_set(e, ERR_STATE, ENOENT, "cgroup %s of container \"%s\"", path, c->rec.id);
}

int stats_open(const struct hull *h, const char *id, struct oci_arena *a, struct container *ret, struct cg_layout *lay, struct cgroup *ret_cg,
	       struct err *e)
{
	int r = container_open(h, id, -1, a, ret, e);

	if (r < 0)
		return r;
	if (ret->status == OCI_STATUS_STOPPED || ret->status == OCI_STATUS_CREATING)
		r = err_set(e, ERR_STATE, 0, "container \"%s\" is not running: it is %s", id, oci_status_word(ret->status));
	if (r == 0)
		r = open_cgroup(ret, lay, ret_cg, e);
	if (r < 0)
		container_close(ret);
	return r;
}

/* ---- network ---- */

/* "eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0" (proc_pid_net(5)): 8 numbers for what came in, 8 for what went out. */
static int parse_interface(char *line, struct oci_arena *a, struct hull_net *ret)
{
	enum { N_NUMBERS = 16, TX = 8 };
	char *colon = strrchr(line, ':'), *save = NULL;
	uint64_t v[N_NUMBERS];
	unsigned n = 0;

	if (!colon)
		return -EBADMSG;
	*colon = '\0';
	line += strspn(line, " ");
	for (char *w = strtok_r(colon + 1, " ", &save); w && n < N_NUMBERS; w = strtok_r(NULL, " ", &save))
		if (num_parse_u64(w, UINT64_MAX, &v[n++]) < 0)
			return -EBADMSG;
	if (n < N_NUMBERS)
		return -EBADMSG;
	/* A name may hold any byte but "/", ":" and white space; JSON only takes UTF-8. */
	char name[128];
	*ret = (struct hull_net){ .name = oci_arena_strdup(a, err_escape(line, name, sizeof(name))),
				  .rx_bytes = v[0], .rx_packets = v[1], .rx_errors = v[2], .rx_dropped = v[3],
				  .tx_bytes = v[TX], .tx_packets = v[TX + 1], .tx_errors = v[TX + 2], .tx_dropped = v[TX + 3] };
	return ret->name ? 0 : -ENOMEM;
}

int stats_parse_net(char *text, struct oci_arena *a, struct hull_stats *ret)
{
	size_t lines = 0;

	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	ret->net = oci_arena_alloc(a, (lines + 1) * sizeof(*ret->net));
	if (!ret->net)
		return -ENOMEM;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		/* The two headings have a bar. */
		int r = strchr(line, '|') ? 0 : parse_interface(line, a, &ret->net[ret->n_net]);
		if (r < 0)
			return r;
		ret->n_net += !strchr(line, '|');
	}
	ret->has_net = true;
	return 0;
}

/* Is the network a namespace of the container's, or one that it shares with us? */
static bool has_own_network(const struct container *c)
{
	const struct ns_id *given = &c->rec.ns[OCI_NS_NETWORK];
	struct ns_id own;

	return given->ino && proc_namespace(0, OCI_NS_NETWORK, &own) == 0 && (own.ino != given->ino || own.dev != given->dev);
}

static int read_net_file(pid_t pid, struct oci_arena *a, char **ret)
{
	char path[64];
	ssize_t n = -EFBIG;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)pid);
	for (size_t size = 8192; n == -EFBIG && size <= NET_DEV_MAX; size *= 2) {
		*ret = oci_arena_alloc(a, size);
		n = *ret ? io_read_at(AT_FDCWD, path, *ret, size) : -ENOMEM;
	}
	return n < 0 ? (int)n : 0;
}

static int read_net(const struct container *c, struct oci_arena *a, struct hull_stats *ret, struct err *e)
{
	char *text;

	if (!has_own_network(c))
		return 0;
	int r = read_net_file(c->rec.init.pid, a, &text);
	/* It is dead, and what was read may have been another's: absent. */
	scoped_fd int pidfd = proc_id_open(&c->rec.init);
	if (pidfd < 0 || r == -ENOENT || r == -ESRCH || r == -EINVAL)
		return 0;
	if (r == 0)
		r = stats_parse_net(text, a, ret);
	return r < 0 ? err_sys(e, r, "read /proc/%d/net/dev", (int)c->rec.init.pid) : 0;
}

int stats_read(const struct container *c, const struct cgroup *cg, struct oci_arena *a, struct hull_stats *ret, struct err *e)
{
	*ret = (struct hull_stats){ .id = c->rec.id, .status = c->status, .pid = c->rec.init.pid, .time_ns = clock_now_ns() };
	int r = cg_stats_read(cg, a, &ret->cg, e);
	if (r == 0)
		r = read_net(c, a, ret, e);
	return r < 0 ? err_wrap(e, r, "figures of container \"%s\"", c->rec.id) : 0;
}

int hull_stats(const struct hull *h, const char *id, struct oci_arena *a, struct hull_stats *ret, struct err *e)
{
	struct cg_layout lay;
	struct container c;
	struct cgroup cg;

	int r = stats_open(h, id, a, &c, &lay, &cg, e);
	if (r < 0)
		return r;
	r = stats_read(&c, &cg, a, ret, e);
	cg_close(&cg);
	container_close(&c);
	return r;
}
