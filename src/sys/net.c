/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/util.h"

#ifndef IFLA_NEW_IFINDEX
#define IFLA_NEW_IFINDEX 49
#endif

#define ANSWER_MAX 32768 /* the kernel makes no message of a dump larger */
#define DUMP_TRIES 16    /* somebody may change addresses while we read */

/* One request, built up. Its attributes are ours: they always fit. */
struct request {
	struct nlmsghdr h;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg addr;
	} u;
	char attrs[2048];
};

static void begin(struct request *q, uint16_t type, unsigned flags, size_t body)
{
	memset(q, 0, offsetof(struct request, attrs));
	q->h.nlmsg_type = type;
	q->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	q->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
}

static int add(struct request *q, unsigned short type, const void *data, size_t len)
{
	size_t at = NLMSG_ALIGN(q->h.nlmsg_len);
	struct rtattr *a = (struct rtattr *)((char *)q + at);

	if (at + RTA_SPACE(len) > sizeof(*q))
		return -EMSGSIZE;
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->h.nlmsg_len = (uint32_t)(at + RTA_ALIGN(a->rta_len));
	return 0;
}

int net_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	return fd < 0 ? -errno : fd;
}

int net_check(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t n = sizeof(domain), m = sizeof(protocol);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &m) < 0)
		return -errno;
	return domain == AF_NETLINK && protocol == NETLINK_ROUTE ? 0 : -EPROTOTYPE;
}

int net_namespace(int nl)
{
	int fd = ioctl(nl, SIOCGSKNS);

	return fd < 0 ? -errno : fd;
}

static int send_request(int nl, const struct request *q)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n = sendto(nl, q, q->h.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel));

	return n < 0 ? -errno : 0;
}

/* One datagram of the kernel; who else may write to the socket is not listened to. The answer is there when the request has been sent: no wait. */
static ssize_t receive(int nl, void *buf, size_t size)
{
	struct sockaddr_nl from;

	for (;;) {
		socklen_t n = sizeof(from);
		ssize_t r = recvfrom(nl, buf, size, MSG_TRUNC | MSG_DONTWAIT, (struct sockaddr *)&from, &n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if ((size_t)r > size)
			return -EMSGSIZE;
		if (n == sizeof(from) && from.nl_pid == 0)
			return r;
	}
}

/* What ends the answers: 1 and *ret, or 0 where `h` is one of them. */
static int is_last(const struct nlmsghdr *h, int *ret)
{
	const int *code = NLMSG_DATA(h); /* the first member of struct nlmsgerr, and all of NLMSG_DONE */

	if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE)
		return 0;
	*ret = h->nlmsg_len >= NLMSG_LENGTH(sizeof(*code)) ? *code : 0;
	return 1;
}

/* Read answers until the last one: an acknowledgement, an error, or the end of a dump. `take` gets every other message. A dump that was
 * disturbed by a change is -EINTR. */
static int answers(int nl, int (*take)(void *arg, const struct nlmsghdr *h), void *arg)
{
	char buf[ANSWER_MAX] __attribute__((aligned(8)));
	int result = 0, code;

	for (;;) {
		ssize_t n = receive(nl, buf, sizeof(buf));
		if (n < 0)
			return (int)n;
		size_t at = 0, len = (size_t)n;
		while (len - at >= sizeof(struct nlmsghdr)) {
			const struct nlmsghdr *h = (const void *)(buf + at);
			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > len - at)
				return -EPROTO;
			if (result == 0 && (h->nlmsg_flags & NLM_F_DUMP_INTR))
				result = -EINTR;
			if (is_last(h, &code))
				return code < 0 ? code : result;
			if (take && result == 0)
				result = take(arg, h);
			at += NLMSG_ALIGN(h->nlmsg_len) < len - at ? NLMSG_ALIGN(h->nlmsg_len) : len - at;
		}
	}
}

static int do_request(int nl, struct request *q)
{
	q->h.nlmsg_flags |= NLM_F_ACK;
	int r = send_request(nl, q);

	return r < 0 ? r : answers(nl, NULL, NULL);
}

static int take_link(void *arg, const struct nlmsghdr *h)
{
	struct net_link *l = arg;
	const struct ifinfomsg *i = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*i));

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return -EPROTO;
	l->index = i->ifi_index;
	l->flags = i->ifi_flags;
	for (const struct rtattr *a = IFLA_RTA(i); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_IFNAME && RTA_PAYLOAD(a) <= sizeof(l->name))
			memcpy(l->name, RTA_DATA(a), RTA_PAYLOAD(a));
	l->name[sizeof(l->name) - 1] = '\0';
	return 0;
}

int net_link_get(int nl, const char *name, int index, struct net_link *ret)
{
	struct request q;
	int r = 0;

	*ret = (struct net_link){ 0 };
	begin(&q, RTM_GETLINK, NLM_F_ACK, sizeof(q.u.link));
	q.u.link.ifi_index = name ? 0 : index;
	if (name)
		r = add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	if (r == 0)
		r = send_request(nl, &q);
	if (r == 0)
		r = answers(nl, take_link, ret);
	return r < 0 || ret->index > 0 ? r : -ENODEV;
}

int net_link_move(int nl, int index, int ns_fd, int new_index, const char *name)
{
	struct request q;
	int r;

	begin(&q, RTM_NEWLINK, 0, sizeof(q.u.link));
	q.u.link.ifi_index = index;
	r = add(&q, IFLA_NET_NS_FD, &ns_fd, sizeof(ns_fd));
	if (r == 0)
		r = add(&q, IFLA_NEW_IFINDEX, &new_index, sizeof(new_index));
	if (r == 0)
		r = add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	return r < 0 ? r : do_request(nl, &q);
}

int net_link_up(int nl, int index)
{
	struct request q;

	begin(&q, RTM_NEWLINK, 0, sizeof(q.u.link));
	q.u.link.ifi_index = index;
	q.u.link.ifi_flags = IFF_UP;
	q.u.link.ifi_change = IFF_UP;
	return do_request(nl, &q);
}

struct harvest {
	char *buf;
	size_t size, len;
	int index;
};

/* IFA_FLAGS holds all 32 bits, the header only eight. */
static uint32_t address_flags(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	uint32_t flags = m->ifa_flags;

	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(flags))
			memcpy(&flags, RTA_DATA(a), sizeof(flags));
	return flags;
}

static int take_address(void *arg, const struct nlmsghdr *h)
{
	struct harvest *v = arg;
	const struct ifaddrmsg *m = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EPROTO;
	if ((int)m->ifa_index != v->index || m->ifa_scope != RT_SCOPE_UNIVERSE || !(address_flags(h) & IFA_F_PERMANENT))
		return 0;
	if (v->size - v->len < NLMSG_ALIGN(h->nlmsg_len))
		return -EMSGSIZE;
	memcpy(v->buf + v->len, h, h->nlmsg_len);
	v->len += NLMSG_ALIGN(h->nlmsg_len);
	return 0;
}

int net_addresses(int nl, int index, void *buf, size_t size)
{
	struct harvest v;
	struct request q;
	int r;

	for (unsigned i = 0; i < DUMP_TRIES; i++) {
		v = (struct harvest){ .buf = buf, .size = size, .index = index };
		memset(buf, 0, size);
		begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.u.addr));
		r = send_request(nl, &q);
		if (r == 0)
			r = answers(nl, take_address, &v);
		if (r != -EINTR)
			break;
	}
	return r < 0 ? r : (int)v.len;
}

/* The message of a dump is nearly the request that makes the address. Its label names the device as it was called: the kernel makes a new one. */
static int add_address(int nl, int index, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));
	struct request q;
	int r = 0;

	begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof(*m));
	q.u.addr = *m;
	q.u.addr.ifa_index = (unsigned)index;
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left) && r == 0; a = RTA_NEXT(a, left))
		if (a->rta_type != IFA_LABEL)
			r = add(&q, a->rta_type, RTA_DATA(a), RTA_PAYLOAD(a));
	if (r == 0)
		r = do_request(nl, &q);
	return r == -EEXIST ? 0 : r;
}

int net_add_addresses(int nl, int index, const void *buf, size_t len)
{
	const char *p = buf, *end = p + len;
	int r = 0;

	for (; p < end && r == 0; p += NLMSG_ALIGN(((const struct nlmsghdr *)(const void *)p)->nlmsg_len))
		r = add_address(nl, index, (const void *)p);
	return r;
}
