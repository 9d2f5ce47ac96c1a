/* answers: replies of the node in the form that agents read. Internal. */
#ifndef DUCK_CLIENT_ANSWERS_H
#define DUCK_CLIENT_ANSWERS_H

struct duck_answer;
struct Duck__Reply;

struct duck_answer *answer_new(struct Duck__Reply *reply); /* keeps the reply */

#endif
