/* SPDX-License-Identifier: Apache-2.0 */
/* Who the container's program is: groups, ids, the five capability sets. All of it is set before the filter and
 * then read back: a profile that answers setresuid or capset with success and does nothing has fooled both peers
 * (attacks-tried C3). */
#include <grp.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "init/init.h"

#define CAP_BITS 64
#define BIT(c) (1ull << (c))

/* The three sets that capget(2) knows. */
struct caps { uint64_t eff, prm, inh; };

static unsigned long shown;

void creds_show(bool on)
{
	shown = on;
}

static int get_caps(struct caps *ret)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	/* A call that only says that it worked leaves these, and no process has them. */
	memset(d, 0xff, sizeof(d));
	int r = sys_capget(&h, d);
	*ret = (struct caps){ d[0].effective | (uint64_t)d[1].effective << 32,
			      d[0].permitted | (uint64_t)d[1].permitted << 32,
			      d[0].inheritable | (uint64_t)d[1].inheritable << 32 };
	return r;
}

static int set_caps(const struct caps *c)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)c->eff, (uint32_t)c->prm, (uint32_t)c->inh },
		{ (uint32_t)(c->eff >> 32), (uint32_t)(c->prm >> 32), (uint32_t)(c->inh >> 32) },
	};

	return sys_capset(&h, d);
}

/* The bounding set, asked bit by bit up to the last one that this kernel knows; there may be more than were known
 * when hull was built. */
static uint64_t get_bounding(void)
{
	uint64_t set = 0;

	for (unsigned long c = 0; c < CAP_BITS; c++) {
		int r = sys_prctl(PR_CAPBSET_READ, c, 0, 0, 0);
		if (r < 0)
			break;
		set |= r ? BIT(c) : 0;
	}
	return set;
}

static uint64_t get_ambient(uint64_t possible)
{
	uint64_t set = 0;

	for (unsigned long c = 0; c < CAP_BITS; c++)
		if ((possible & BIT(c)) && sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1)
			set |= BIT(c);
	return set;
}

/* CAP_SYS_ADMIN stays permitted and effective until the filter is loaded, where no_new_privs does not make that
 * possible without. */
static uint64_t admin_for_filter(const struct init *in)
{
	return in->fin->filter.n && !(in->fin->flags & FIN_NO_NEW_PRIVS) ? BIT(CAP_SYS_ADMIN) : 0;
}

/* What can be had of what is asked for. The plan has warned of what the caller lacks; what is missing beyond that
 * is missing here. */
static void decide(struct init *in, const struct caps *have, uint64_t bounding)
{
	const uint64_t *want = in->fin->caps;
	uint64_t *get = in->granted, lost = 0;

	get[CAPSET_BOUNDING] = want[CAPSET_BOUNDING] & bounding;
	get[CAPSET_PERMITTED] = want[CAPSET_PERMITTED] & have->prm;
	get[CAPSET_EFFECTIVE] = want[CAPSET_EFFECTIVE] & get[CAPSET_PERMITTED];
	get[CAPSET_INHERITABLE] = want[CAPSET_INHERITABLE] & (have->prm | have->inh);
	get[CAPSET_AMBIENT] = want[CAPSET_AMBIENT] & get[CAPSET_PERMITTED] & get[CAPSET_INHERITABLE];
	for (unsigned i = 0; i < CAPSET_N; i++)
		lost |= want[i] & ~get[i];
	if (lost)
		log_warn("process.capabilities: what the caller lacks is not granted (mask %llx)",
			 (unsigned long long)lost);
}

/* Leaving 0 takes rights out of the effective set, not out of the permitted one while another id is 0 (capabilities(7)). */
static int restore_effective(void)
{
	struct caps c;
	int r = get_caps(&c);

	if (r < 0)
		return r;
	c.eff = c.prm;
	r = set_caps(&c);
	return r == 0 ? creds_guard() : r;
}

int creds_act_as(uint32_t uid)
{
	int r = (int)sys_result("setresuid", syscall(SYS_IDS(setresuid), -1, uid, -1));

	return r < 0 ? r : restore_effective();
}

int creds_make_files_as(uint32_t uid, uint32_t gid)
{
	syscall(SYS_IDS(setfsgid), gid);
	syscall(SYS_IDS(setfsuid), uid);
	return restore_effective();
}

int creds_securebits(struct init *in)
{
	int bits = sys_prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

	if (bits == 0)
		return 0;
	int r = bits < 0 ? bits : sys_prctl(PR_SET_SECUREBITS, 0, 0, 0, 0);
	return r < 0 ? err_sys(&in->err, r, "clear the caller's securebits (%#x)", (unsigned)bits) : 0;
}

static int drop_bounding(uint64_t have, uint64_t keep)
{
	int r = 0;

	for (unsigned long c = 0; c < CAP_BITS && r == 0; c++)
		if (have & ~keep & BIT(c))
			r = sys_prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	return r;
}

/* The kernel's answer to an id that the user namespace doesn't map (setresuid(2)). */
static const char *unmapped(int r)
{
	return r == -EINVAL ? ", which the user namespace does not map" : "";
}

/* The caller's additional groups, which stay: what is read back later must be the same. */
static int note_groups(struct init *in)
{
	long n = sys_result("getgroups", syscall(SYS_IDS(getgroups), 0, NULL));

	if (n <= 0)
		return (int)n;
	in->groups = init_pages((size_t)n * sizeof(*in->groups));
	if (!in->groups)
		return -ENOMEM;
	in->n_groups = (uint32_t)n;
	return (int)sys_result("getgroups", syscall(SYS_IDS(getgroups), n, in->groups));
}

static int set_ids(struct init *in)
{
	const struct blob_finale *f = in->fin;
	bool keep = f->flags & FIN_KEEP_GROUPS;
	int r = keep ? note_groups(in) : sys_setgroups(f->gids.n, f->gids.n ? blob_list(in->b, f->gids) : NULL);

	if (r < 0 && keep)
		return err_sys(&in->err, r, "read the caller's additional groups");
	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "set %u additional groups", f->gids.n),
			      "process.user.additionalGids");
	r = sys_setresgid(f->gid);
	if (r < 0)
		return err_at(&in->err, err_sys(&in->err, r, "become group %u%s", f->gid, unmapped(r)), "process.user.gid");
	r = sys_setresuid(f->uid);
	return r < 0 ? err_at(&in->err, err_sys(&in->err, r, "become user %u%s", f->uid, unmapped(r)), "process.user.uid") : 0;
}

/* A change of ids sets "dumpable" to what fs.suid_dumpable says and forgets the parent-death signal. */
int creds_guard(void)
{
	int r = sys_prctl(PR_SET_DUMPABLE, shown, 0, 0, 0);

	return r < 0 ? r : sys_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int set_sets(struct init *in)
{
	const uint64_t *g = in->granted, admin = admin_for_filter(in);
	struct caps c = { g[CAPSET_EFFECTIVE] | admin, g[CAPSET_PERMITTED] | admin, g[CAPSET_INHERITABLE] };
	int r = set_caps(&c);

	if (r == 0)
		r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (unsigned long i = 0; i < CAP_BITS && r == 0; i++)
		if (g[CAPSET_AMBIENT] & BIT(i))
			r = sys_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
	if (r == 0)
		r = sys_prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	return r == 0 ? creds_guard() : r;
}

int creds_drop(struct init *in)
{
	uint64_t bounding = get_bounding();
	struct caps have;
	int r = get_caps(&have);

	if (r < 0)
		return err_sys(&in->err, r, "read the capabilities");
	decide(in, &have, bounding);
	r = drop_bounding(bounding, in->granted[CAPSET_BOUNDING]);
	if (r == 0)
		r = sys_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (r < 0)
		return err_sys(&in->err, r, "limit the bounding set");
	r = set_ids(in);
	if (r < 0)
		return r;
	r = creds_guard();
	if (r == 0)
		r = set_sets(in);
	if (r < 0)
		return err_sys(&in->err, r, "set the capabilities");
	if (in->fin->flags & FIN_NO_NEW_PRIVS)
		r = sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return r < 0 ? err_sys(&in->err, r, "set no_new_privs") : 0;
}

int creds_drop_admin(struct init *in)
{
	const uint64_t *g = in->granted;
	struct caps c = { g[CAPSET_EFFECTIVE], g[CAPSET_PERMITTED], g[CAPSET_INHERITABLE] };
	int r = admin_for_filter(in) ? set_caps(&c) : 0;

	if (r == 0)
		r = creds_guard();
	return r < 0 ? err_sys(&in->err, r, "drop CAP_SYS_ADMIN after the filter") : 0;
}

static int wrong(struct init *in, const char *what, unsigned long long is, unsigned long long want)
{
	return err_set(&in->err, ERR_SYS, EPERM, "%s reads back as %#llx instead of %#llx", what, is, want);
}

static int check_ids(struct init *in)
{
	const struct blob_finale *f = in->fin;
	/* No id has this value: a call that was only pretended leaves it. */
	uid_t u[3] = { (uid_t)-1, (uid_t)-1, (uid_t)-1 };
	gid_t g[3] = { (gid_t)-1, (gid_t)-1, (gid_t)-1 };

	if (syscall(SYS_IDS(getresuid), &u[0], &u[1], &u[2]) < 0 ||
	    syscall(SYS_IDS(getresgid), &g[0], &g[1], &g[2]) < 0)
		return err_sys(&in->err, -errno, "read the ids back");
	for (unsigned i = 0; i < 3; i++) {
		if (u[i] != f->uid)
			return wrong(in, "the user id", u[i], f->uid);
		if (g[i] != f->gid)
			return wrong(in, "the group id", g[i], f->gid);
	}
	return 0;
}

static int compare_gid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int check_groups(struct init *in)
{
	bool keep = in->fin->flags & FIN_KEEP_GROUPS;
	uint32_t n = keep ? in->n_groups : in->fin->gids.n;
	size_t size = ((size_t)n + 1) * sizeof(uint32_t);
	uint32_t *v = init_pages(2 * size);

	if (!v)
		return err_sys(&in->err, -ENOMEM, "read the groups back");
	uint32_t *want = v, *is = v + n + 1;
	if (n)
		memcpy(want, keep ? in->groups : blob_list(in->b, in->fin->gids), n * sizeof(uint32_t));
	qsort(want, n, sizeof(uint32_t), compare_gid);
	memset(is, 0xff, size);
	long count = syscall(SYS_IDS(getgroups), n + 1, is);
	int r = count < 0 ? err_sys(&in->err, -errno, "read the groups back") : 0;
	if (r == 0 && (uint32_t)count != n)
		r = wrong(in, "the number of additional groups", (unsigned long long)count, n);
	qsort(is, n, sizeof(uint32_t), compare_gid);
	for (uint32_t i = 0; i < n && r == 0; i++)
		if (is[i] != want[i])
			r = wrong(in, "an additional group", is[i], want[i]);
	munmap(v, 2 * size);
	return r;
}

static int check_sets(struct init *in, bool keep_admin)
{
	const uint64_t *g = in->granted, admin = keep_admin ? admin_for_filter(in) : 0;
	struct caps c;
	int r = get_caps(&c);

	if (r < 0)
		return err_sys(&in->err, r, "read the capabilities back");
	const struct { const char *name; uint64_t is, want; } sets[] = {
		{ "the effective capability set", c.eff, g[CAPSET_EFFECTIVE] | admin },
		{ "the permitted capability set", c.prm, g[CAPSET_PERMITTED] | admin },
		{ "the inheritable capability set", c.inh, g[CAPSET_INHERITABLE] },
		{ "the bounding capability set", get_bounding(), g[CAPSET_BOUNDING] },
		{ "the ambient capability set", get_ambient(c.prm & c.inh), g[CAPSET_AMBIENT] },
	};
	for (size_t i = 0; i < ARRAY_LEN(sets); i++)
		if (sets[i].is != sets[i].want)
			return wrong(in, sets[i].name, sets[i].is, sets[i].want);
	return 0;
}

static int check_flags(struct init *in)
{
	int dumpable = sys_prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), bits = sys_prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	int nnp = sys_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), want = in->fin->flags & FIN_NO_NEW_PRIVS ? 1 : 0;
	mode_t mask = umask(0), asked = in->fin->flags & FIN_UMASK ? (mode_t)in->fin->umask : in->caller_umask;

	umask(mask);
	if (dumpable < 0 || (dumpable == 1) != shown)
		return wrong(in, "\"dumpable\"", (unsigned long long)dumpable, shown);
	if (bits != 0)
		return wrong(in, "securebits", (unsigned long long)bits, 0);
	if (nnp < want)
		return wrong(in, "no_new_privs", (unsigned long long)nnp, (unsigned long long)want);
	if (nnp > want)
		log_warn(
			"process.noNewPrivileges: false, but the caller has no_new_privs set, which can't be taken back");
	return mask == asked ? 0 : wrong(in, "the umask", mask, asked);
}

int creds_check(struct init *in, bool keep_admin)
{
	int r = check_ids(in);

	if (r == 0)
		r = check_groups(in);
	if (r == 0)
		r = check_sets(in, keep_admin);
	return r == 0 ? check_flags(in) : r;
}
