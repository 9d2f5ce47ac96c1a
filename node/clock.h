/* clock: the only place that asks the time. */
#ifndef DUCK_NODE_CLOCK_H
#define DUCK_NODE_CLOCK_H

#include "core/moment.h"

struct moment clock_read(void);
uint64_t clock_now_ms(void);  /* steady */
uint64_t clock_wall_ms(void); /* Unix */
uint64_t clock_now_us(void);  /* steady, to measure with */

#endif
