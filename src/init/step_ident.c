/* SPDX-License-Identifier: Apache-2.0 */
/* What is set in the container's own namespaces: names, the loopback interface, sysctls. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/num.h"
#include "init/init.h"
#include "sys/net.h"

/* The host holds the record and does what there is to undo; the socket lets it work in our network namespace without entering it. */
int step_netlink(struct init *in, const struct step *s)
{
	scoped_fd int nl = net_open();
	struct ctl_msg m;
	int r;

	(void)s;
	if (nl < 0)
		return nl;
	r = ctl_send(&in->ctl, CTL_NET_PLEASE, 0, NULL, 0, nl);
	if (r == 0)
		r = ctl_expect(&in->ctl, CTL_NET_DONE, -1, &m, NULL, &in->err);
	if (r == -EPIPE)
		init_gone(1);
	return r;
}

int step_hostname(struct init *in, const struct step *s)
{
	const char *name = init_str(in, s->u.write.value);

	return sethostname(name, strlen(name)) < 0 ? -errno : 0;
}

int step_domainname(struct init *in, const struct step *s)
{
	const char *name = init_str(in, s->u.write.value);

	return setdomainname(name, strlen(name)) < 0 ? -errno : 0;
}

int step_lo_up(struct init *in, const struct step *s)
{
	scoped_fd int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	(void)in;
	(void)s;
	if (sock < 0)
		return -errno;
	if (ioctl(sock, SIOCGIFFLAGS, &req) < 0)
		return -errno;
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	return ioctl(sock, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
}

/* Numbers must read back as they were written; the kernel prints other values in a form of its own (lists, tabs). */
static int check_sysctl(struct init *in, const char *name, const char *value)
{
	char is[64];
	uint64_t want, got;

	if (num_parse_u64(value, UINT64_MAX, &want) < 0)
		return 0;
	scoped_fd int fd = procfs_sysctl(&in->sysctl, name, O_RDONLY);
	if (fd == -EACCES || fd == -EPERM)
		return 0; /* write-only: net.ipv4.route.flush */
	if (fd < 0)
		return fd;
	ssize_t n = read(fd, is, sizeof(is) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? 0 : -errno;
	while (n && (is[n - 1] == '\n' || is[n - 1] == '\t'))
		n--;
	is[n] = '\0';
	if (num_parse_u64(is, UINT64_MAX, &got) < 0 || got == want)
		return 0;
	return err_set(&in->err, ERR_SYS, EIO, "it reads back as %s", is);
}

/* Through a procfs of the pid namespace that we stand in; the file belongs to the namespaces of the process that
 * opens it, which is us. One write: a second one would be a second value. */
int step_write_sysctl(struct init *in, const struct step *s)
{
	const char *name = init_str(in, s->u.write.name), *value = init_str(in, s->u.write.value);
	size_t len = strlen(value);
	int r = in->sysctl.root_fd >= 0 ? 0 : procfs_open(&in->sysctl, false, in->host_proc_fd);

	if (r < 0)
		return r;
	scoped_fd int fd = procfs_sysctl(&in->sysctl, name, O_WRONLY);
	if (fd < 0)
		return fd;
	ssize_t n = write(fd, value, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return err_set(&in->err, ERR_SYS, EIO, "only %zd of %zu bytes were taken", n, len);
	return check_sysctl(in, name, value);
}

/* What belongs to the container's user namespace may be written by the root of that, or (ipc before 5.19, uts always) by the host's only. */
int step_sysctl(struct init *in, const struct step *s)
{
	if (s->flags & STEP_IN_USERNS)
		return userns_sysctl(in, s);
	int r = step_write_sysctl(in, s);
	if ((r != -EACCES && r != -EPERM) || !in->b->userns)
		return r;
	r = creds_act_as(in->apart.root_uid);
	if (r == 0)
		r = step_write_sysctl(in, s);
	int back = creds_act_as(0);
	if (back == 0)
		back = creds_make_files_as(in->apart.root_uid, in->apart.root_gid);
	return r < 0 ? r : back;
}
