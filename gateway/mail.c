#include "mail.h"

#include "core/bytes.h"
#include "gate_fault.h"
#include "mail_files.h"
#include "mail_queue.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_MAX_BYTES 254 /* RFC 5321, section 4.5.3.1.3 */

struct message {
    char text[MAIL_MESSAGE_MAX];
    size_t size;
};

struct mail {
    struct mail_files *files; /* or */
    struct mail_queue *queue;
    char *smtp_url, *from, *user, *password, *ca_file;
    void (*trouble)(void *context, const char *text);
    void *context;
    pthread_mutex_t lock; /* of files */
};

static void complain(struct mail *mail, const char *what)
{
    if (mail->trouble)
        mail->trouble(mail->context, what);
}

/* ---- one letter as RFC 5322 text ---- */

static bool is_one_line(const char *text, size_t max)
{
    size_t size = strnlen(text, max + 1);

    if (size == 0 || size > max)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

static bool is_address(const char *text)
{
    return is_one_line(text, ADDRESS_MAX_BYTES) && !strpbrk(text, "<> ,;");
}

/* libcurl would hand CR LF on to the server as two commands, so addresses are looked at here too. */
static bool is_letter(const struct mail_letter *letter)
{
    return is_address(letter->to) && is_one_line(letter->subject, LETTER_SUBJECT_MAX) &&
           strnlen(letter->text, LETTER_TEXT_MAX + 1) <= LETTER_TEXT_MAX &&
           bytes_are_text(bytes_of_text(letter->text), true);
}

static void write_date(char date[64])
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(date, 64, "%a, %d %b %Y %H:%M:%S +0000", &tm);
}

static size_t write_head(const struct mail *mail, const struct mail_letter *letter, char *message,
                         size_t size, const char *end)
{
    uint8_t chance[16];
    char date[64], name[33];
    int written;

    write_date(date);
    randombytes_buf(chance, sizeof chance);
    sodium_bin2hex(name, sizeof name, chance, sizeof chance);
    written = snprintf(message, size,
                       "Date: %s%sFrom: %s%sTo: %s%sSubject: %s%sMessage-ID: <%s@ducknode>%s"
                       "MIME-Version: 1.0%sContent-Type: text/plain; charset=utf-8%s"
                       "Content-Transfer-Encoding: 8bit%sAuto-Submitted: auto-generated%s%s",
                       date, end, mail->from, end, letter->to, end, letter->subject, end, name, end,
                       end, end, end, end, end);
    return (size_t)written;
}

/* Files for people have plain line ends; the wire wants CR LF. */
static void write_message(const struct mail *mail, const struct mail_letter *given,
                          struct message *message)
{
    const char *end = mail->queue ? "\r\n" : "\n";
    size_t size = write_head(mail, given, message->text, sizeof message->text, end);

    for (const char *at = given->text; *at; at++) {
        if (*at == '\n' && mail->queue)
            message->text[size++] = '\r';
        message->text[size++] = *at;
    }
    message->size = size;
}

/* ---- the desk ---- */

static char *copy_of(const char *text)
{
    return memory_copy(text, strlen(text) + 1);
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static char *line_of(char **rest)
{
    char *line = strsep(rest, "\n");
    size_t size = line ? strlen(line) : 0;

    if (size > 0 && line[size - 1] == '\r')
        line[size - 1] = '\0';
    return size > 0 ? copy_of(line) : NULL;
}

static int read_credentials(struct mail *mail, const char *path)
{
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char text[1024] = "", *rest = text;
    struct stat status;
    ssize_t size;

    if (file < 0)
        return GATE_FAULT_FILE;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
        close(file);
        return GATE_FAULT_PERMISSIONS;
    }
    size = read(file, text, sizeof text - 1);
    close(file);
    if (size < 0)
        return GATE_FAULT_FILE;
    mail->user = line_of(&rest);
    mail->password = line_of(&rest);
    sodium_memzero(text, sizeof text);
    return mail->user && mail->password ? 0 : GATE_FAULT_CONFIG;
}

static int open_queue(struct mail *mail, const struct mail_settings *settings)
{
    const struct mail_queue_settings queue = {.smtp = {.url = mail->smtp_url,
                                                       .from = mail->from,
                                                       .user = mail->user,
                                                       .password = mail->password,
                                                       .ca_file = mail->ca_file,
                                                       .in_clear_is_fine = settings->smtp_in_clear},
                                              .store_path = settings->store_path,
                                              .key = settings->key,
                                              .trouble = mail->trouble,
                                              .context = mail->context};

    return mail_queue_open(&mail->queue, &queue);
}

static int prepare_server(struct mail *mail, const struct mail_settings *settings)
{
    const char *url = settings->smtp_url;
    int fault = 0;

    if ((!starts_with(url, "smtps://") && !starts_with(url, "smtp://")) || !is_one_line(url, 1024))
        return GATE_FAULT_CONFIG;
    if (strchr(url, '@')) /* a password in the configuration would be one in its copies, too */
        return GATE_FAULT_CONFIG;
    if (!is_address(mail->from) || !settings->store_path || !settings->key)
        return GATE_FAULT_CONFIG;
    mail->smtp_url = copy_of(url);
    if (settings->ca_file && settings->ca_file[0])
        mail->ca_file = copy_of(settings->ca_file);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return GATE_FAULT_MAIL;
    if (settings->credentials_path)
        fault = read_credentials(mail, settings->credentials_path);
    return fault ? fault : open_queue(mail, settings);
}

int mail_open(struct mail **opened, const struct mail_settings *settings,
              void (*trouble)(void *context, const char *text), void *context)
{
    struct mail *mail = memory_take(sizeof *mail);
    int fault = GATE_FAULT_CONFIG;

    mail->trouble = trouble;
    mail->context = context;
    mail->from = copy_of(settings->from ? settings->from : "ducknode@localhost");
    pthread_mutex_init(&mail->lock, NULL);
    if (settings->smtp_url && settings->smtp_url[0])
        fault = prepare_server(mail, settings);
    else if (settings->folder)
        fault = mail_files_open(&mail->files, settings->folder);
    if (fault) {
        mail_close(mail);
        return fault;
    }
    *opened = mail;
    return 0;
}

void mail_close(struct mail *mail)
{
    if (!mail)
        return;
    mail_queue_close(mail->queue);
    mail_files_close(mail->files);
    if (mail->password)
        sodium_memzero(mail->password, strlen(mail->password));
    memory_give_back(mail->smtp_url);
    memory_give_back(mail->from);
    memory_give_back(mail->user);
    memory_give_back(mail->password);
    memory_give_back(mail->ca_file);
    pthread_mutex_destroy(&mail->lock);
    memory_give_back(mail);
}

static bool file_message(struct mail *mail, const struct message *message)
{
    bool taken;

    pthread_mutex_lock(&mail->lock);
    taken = mail_files_write(mail->files, bytes_of(message->text, message->size));
    pthread_mutex_unlock(&mail->lock);
    if (!taken)
        complain(mail, "mail: a letter could not be written to the mail folder");
    return taken;
}

bool mail_give(struct mail *mail, const struct mail_letter *given)
{
    struct message message;
    bool taken;

    if (!is_letter(given))
        return false;
    write_message(mail, given, &message);
    taken = mail->files
                ? file_message(mail, &message)
                : mail_queue_give(mail->queue, given->to, bytes_of(message.text, message.size),
                                  given->life_ms ? given->life_ms : MAIL_LIFE_MS);
    sodium_memzero(&message, sizeof message); /* a code stands in it */
    return taken;
}

bool mail_forget(struct mail *mail, const char *to)
{
    bool are_gone;

    if (mail->queue)
        return mail_queue_forget(mail->queue, to);
    pthread_mutex_lock(&mail->lock);
    are_gone = mail_files_forget(mail->files, to);
    pthread_mutex_unlock(&mail->lock);
    return are_gone;
}

uint64_t mail_waiting(struct mail *mail, const char *to)
{
    return mail->queue ? mail_queue_waiting(mail->queue, to) : 0;
}

void mail_flush(struct mail *mail)
{
    if (mail->queue)
        mail_queue_flush(mail->queue);
}
