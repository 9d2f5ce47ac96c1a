/* limits: what the machine could do at most, measured beside each benchmark in the same run. */
#ifndef DUCK_BENCH_LIMITS_H
#define DUCK_BENCH_LIMITS_H

#include <stddef.h>
#include <stdint.h>

double bench_now_s(void);                       /* steady */
double bench_median(double *values, size_t count);
double bench_quantile(double *values, size_t count, double q); /* sorts them */

/* CPU time of one thread, seconds a piece: median of several short runs. */
double limit_sign_s(size_t message_size);
double limit_verify_s(size_t message_size);

/* Pecks a second that all cores could sign and check if they did nothing else, all at once: two
 * signatures and two checks each. Less than one core's rate times their number: cores share caches
 * and, often, power and units. */
double limit_signed_pecks_per_s(size_t message_size);

/* Messages a second that all cores could seal and open (ChaCha20-Poly1305), once each, and do nothing else. */
double limit_sealed_per_s(size_t message_size);

/* Wall-clock seconds, median: one 256-byte round trip between two processes over TCP on loopback,
 * with epoll; and one commit of a 512-byte row into SQLite with synchronous=FULL, in `folder`. */
double limit_socket_round_trip_s(void);
double limit_commit_s(const char *folder);

/* Bytes a second that reach the disk when one file in `folder` is appended to and synced at its end. */
double limit_disk_bytes_per_s(const char *folder);

/* {"bench":name,"value":…,"unit":…,"limit":…,"ratio":…} and more members, which begin with a comma,
 * or "". `is_rate`: more is better. Ratio 1.0: at the limit, for rates and times alike. */
void bench_print(const char *name, double value, const char *unit, double limit, int is_rate,
                 const char *more);

#endif
