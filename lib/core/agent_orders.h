/* agent_orders: what the files of the orders share, see agent_orders.c. Nobody else includes it. */
#ifndef DUCK_CORE_AGENT_ORDERS_H
#define DUCK_CORE_AGENT_ORDERS_H

#include "agent_parts.h"

struct effect *order_reply(struct effects *effects, const struct order *order);

/* `message` and `field` are string constants, or live in the effects' arena. */
void order_refuse(struct effects *effects, const struct order *order, enum refusal_code code,
                  const char *message, const char *field);

/* The open peck that an order is about; NULL after a refusal was added. */
const struct tray_entry *order_find_open(struct agent *agent, const struct order *order,
                                         const struct id *peck, struct effects *effects);

/* Where it is in the inbox, for the store. */
void order_keep_place(const struct tray_entry *entry, const struct moment *at,
                      struct effects *effects);

/* Do the result and the reason of an answer have a form that can be sent? False after a refusal was added. */
bool order_judge_words(const struct order *order, struct effects *effects);

/* ---- who lives here ---- */

void order_hatch(struct agent *agent, const struct order *order, const struct moment *at,
                 struct effects *effects);
void order_change_profile(struct agent *agent, const struct order *order, struct duckling *duckling,
                          const struct moment *at, struct effects *effects);
void order_pulse(struct agent *agent, const struct order *order, struct duckling *duckling,
                 const struct moment *at, struct effects *effects);

/* ---- an agent and its inbox ---- */

void order_hand_out(struct agent *agent, const struct order *order, struct duckling *duckling,
                    const struct moment *at, struct effects *effects);
void order_acknowledge(struct agent *agent, const struct order *order, const struct moment *at,
                       struct effects *effects);
void order_give_back(struct agent *agent, const struct order *order, const struct moment *at,
                     struct effects *effects);
void order_renew(struct agent *agent, const struct order *order, const struct moment *at,
                 struct effects *effects);
void order_answer(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects);
void order_answer_partly(struct agent *agent, const struct order *order, const struct moment *at,
                         struct effects *effects);

/* ---- an owner and its bonds ---- */

void order_approve(struct agent *agent, const struct order *order, const struct moment *at,
                   struct effects *effects);
void order_deny(struct agent *agent, const struct order *order, const struct moment *at,
                struct effects *effects);
void order_unpeck(struct agent *agent, const struct order *order, const struct moment *at,
                  struct effects *effects);
void order_change_bond(struct agent *agent, const struct order *order, const struct moment *at,
                       struct effects *effects);

#endif
