#pragma once

/* Doing something in another network namespace: the calling thread goes in and comes back.
 * netns_new is in network.h. */

struct error;

struct netns_visit {
    int home_fd; /* -1: not away */
};

#define NETNS_VISIT_INIT                                                                           \
    {                                                                                              \
        -1                                                                                         \
    }
#define cleanup_netns_visit __attribute__((cleanup(netns_visit_end)))

int netns_visit_begin(struct netns_visit *visit, int netns_fd, struct error *err);

/* Comes back, or aborts the process: going on in a container's namespace would be worse. Keeps
 * errno. */
void netns_visit_end(struct netns_visit *visit);
