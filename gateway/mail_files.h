/* mail_files: the folder of letters of a gateway without a mail server. For one thread at a time. */
#ifndef DUCK_GATE_MAIL_FILES_H
#define DUCK_GATE_MAIL_FILES_H

#include "core/bytes.h"

struct mail_files;

int mail_files_open(struct mail_files **opened, const char *folder); /* made 0700; ours alone */
void mail_files_close(struct mail_files *files);                     /* NULL is fine */

/* The message, under a name that begins with the time. The oldest of MAIL_FILES_MAX goes. */
bool mail_files_write(struct mail_files *files, struct bytes message);

/* Removes those to this address, in capitals or not. False: one could not be. */
bool mail_files_forget(struct mail_files *files, const char *to);

#endif
