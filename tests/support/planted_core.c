/* What must never be in lib/core: the check of the core is shown this first, and must refuse it. */
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

long planted(void);

long planted(void)
{
    unsigned char key[32], other[64];
    long sum = (long)time(NULL);

    sum += socket(AF_INET, SOCK_STREAM, 0);
    sum += open("/dev/null", O_RDONLY);
    sum += (long)randombytes_random();
    sum += crypto_sign_keypair(key, other);
    sum += (long)pthread_self();
    return sum + puts("planted") + (long)usleep(1);
}
