/* swarm: one seed's pond: so many nodes, foxes and ducklings, such faults, as the seed draws them;
 * faults for a minute or two, then healing, then all agree. */
#ifndef DUCK_TESTS_SWARM_H
#define DUCK_TESTS_SWARM_H

#include "pond.h"

#define SWARM_NODES_MIN 3u
#define SWARM_NODES_MAX 32u
#define SWARM_FAULTS_MIN_MS (60 * SECOND_MS)
#define SWARM_FAULTS_MAX_MS (120 * SECOND_MS)
#define SWARM_AGREE_MS (60 * SECOND_MS)

/* What is left out of `faults` and `habits` is never drawn. */
struct pond_wish swarm_wish(uint64_t seed, unsigned faults, unsigned habits);

/* The whole life of such a pond. False: a law is broken. `agrees`: that all agree in the end is one. */
bool swarm_run(struct pond *pond, uint64_t seed, bool agrees);

#endif
