init_sources = \
	src/init/blob.c \
	src/init/copyup.c \
	src/init/creds.c \
	src/init/exec.c \
	src/init/finale.c \
	src/init/gate.c \
	src/init/hook.c \
	src/init/init.h \
	src/init/listener.c \
	src/init/lsm.c \
	src/init/main.c \
	src/init/mask.c \
	src/init/passwd.c \
	src/init/sched.c \
	src/init/setup.c \
	src/init/step_enter.c \
	src/init/step_ident.c \
	src/init/step_mount.c \
	src/init/step_node.c \
	src/init/steps.c \
	src/init/tty.c \
	src/init/userns.c \
	src/init/verify.c \
	src/plan/blob.h
