/* gateway: what every handler may use. Put together by main.c. */
#ifndef DUCK_GATE_GATEWAY_H
#define DUCK_GATE_GATEWAY_H

#include "accounts.h"
#include "captcha.h"
#include "repeats.h"
#include "forwarded.h"
#include "guard.h"
#include "limiter.h"
#include "node_link.h"
#include "probe.h"
#include "questions.h"

struct courier;
struct listeners;

struct gateway {
    struct accounts *accounts;
    struct captcha *captcha;
    struct node_link *node;
    struct probe *probe;
    struct questions *questions;
    struct repeats *repeats;
    struct courier *courier;
    struct listeners *listeners;
    struct limiter *limiter;
    struct guard_hosts hosts;
    struct forwarded_trust trust;
    struct allow_list metrics_allow; /* beside loopback */
    uint64_t started_ms; /* Unix time */
};

uint64_t gateway_now_ms(void);  /* steady; to some 4 ms, and cheap */
uint64_t gateway_now_us(void);  /* steady */
uint64_t gateway_wall_ms(void); /* Unix time */

#endif
