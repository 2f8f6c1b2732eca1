plan_sources = \
	src/plan/blob.h src/plan/explain.h src/plan/plan.h \
	src/plan/explain.c src/plan/explain_step.c src/plan/facts.c src/plan/facts_join.c src/plan/mount_words.c src/plan/plan.c src/plan/plan_annotations.c src/plan/plan_cgroup.c \
	src/plan/plan_create.c src/plan/plan_dev.c src/plan/plan_hooks.c src/plan/plan_ident.c src/plan/plan_idmap.c src/plan/plan_idmap_text.c src/plan/plan_labels.c src/plan/plan_mount.c \
	src/plan/plan_net.c src/plan/plan_notify.c src/plan/plan_ns.c src/plan/plan_outer.c src/plan/plan_process.c src/plan/plan_rdt.c src/plan/plan_refuse.c src/plan/plan_sched.c
