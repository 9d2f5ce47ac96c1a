#include "mail.h"

#include "core/bytes.h"
#include "gate_fault.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_MAX_BYTES 254 /* RFC 5321, section 4.5.3.1.3 */
#define SUBJECT_MAX 200
#define MESSAGE_MAX (2 * MAIL_TEXT_MAX + 2048) /* with header, and every \n as \r\n */
#define RETRY_FIRST_S 2                        /* then doubled */

struct letter {
    struct letter *next;
    char to[ADDRESS_MAX_BYTES + 1];
    char message[MESSAGE_MAX];
    size_t size;
};

struct mail {
    char *folder, *smtp_url, *from, *user, *password;
    long use_ssl;
    void (*trouble)(void *context, const char *text);
    void *context;
    unsigned long files_made;
    size_t files;

    pthread_t thread; /* only with a mail server */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct letter *first, **last;
    size_t count; /* queued, and the one being sent */
    bool closing;
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

/* libcurl would hand CR LF on to the server as two commands, so addresses are looked at here too. */
static bool is_letter(const struct mail_letter *letter)
{
    return is_one_line(letter->to, ADDRESS_MAX_BYTES) && !strpbrk(letter->to, "<> ,;") &&
           is_one_line(letter->subject, SUBJECT_MAX) &&
           strnlen(letter->text, MAIL_TEXT_MAX + 1) <= MAIL_TEXT_MAX &&
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
static struct letter *letter_new(const struct mail *mail, const struct mail_letter *given)
{
    struct letter *letter = memory_take(sizeof *letter);
    const char *end = mail->smtp_url ? "\r\n" : "\n";
    size_t size = write_head(mail, given, letter->message, sizeof letter->message, end);

    strncpy(letter->to, given->to, sizeof letter->to - 1);
    for (const char *at = given->text; *at; at++) {
        if (*at == '\n' && mail->smtp_url)
            letter->message[size++] = '\r';
        letter->message[size++] = *at;
    }
    letter->size = size;
    return letter;
}

static void letter_free(struct letter *letter)
{
    sodium_memzero(letter, sizeof *letter); /* a code stands in it */
    memory_give_back(letter);
}

/* ---- as files ---- */

static int is_letter_file(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);

    return size > 4 && strcmp(entry->d_name + size - 4, ".eml") == 0;
}

/* Names begin with the time, so the order of names is the order of letters. */
static void drop_oldest(struct mail *mail)
{
    struct dirent **entries;
    int count = scandir(mail->folder, &entries, is_letter_file, alphasort);
    int over = count - MAIL_FILES_MAX;

    if (count < 0)
        return;
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (i < over) {
            snprintf(path, sizeof path, "%s/%s", mail->folder, entries[i]->d_name);
            unlink(path);
        }
        free(entries[i]);
    }
    free(entries);
    mail->files = (size_t)(over > 0 ? MAIL_FILES_MAX : count);
}

static void write_name(struct mail *mail, char *path, size_t size, const char *ending)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    snprintf(path, size, "%s/%s.%03ldZ-%06lu-%d%s", mail->folder, stamp, now.tv_nsec / 1000000,
             mail->files_made % 1000000, (int)getpid(), ending);
}

/* Under its last name only when whole: who lists the folder reads no halves. */
static bool write_file(struct mail *mail, const struct letter *letter)
{
    char path[4096], part[4096];
    int file;
    bool written;

    mail->files_made++;
    write_name(mail, path, sizeof path, ".eml");
    snprintf(part, sizeof part, "%.4088s.part", path);
    file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    written = write(file, letter->message, letter->size) == (ssize_t)letter->size;
    close(file);
    written = written && rename(part, path) == 0;
    if (!written)
        unlink(part);
    else if (++mail->files > MAIL_FILES_MAX)
        drop_oldest(mail);
    return written;
}

static int see_to_folder(struct mail *mail)
{
    struct stat status;

    if (mkdir(mail->folder, 0700) != 0 && errno != EEXIST)
        return GATE_FAULT_FILE;
    if (lstat(mail->folder, &status) != 0)
        return GATE_FAULT_FILE;
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return GATE_FAULT_PERMISSIONS;
    drop_oldest(mail);
    return 0;
}

/* ---- over SMTP ---- */

struct upload {
    const struct letter *letter;
    size_t sent;
};

static size_t read_upload(char *buffer, size_t size, size_t count, void *context)
{
    struct upload *upload = context;
    size_t left = upload->letter->size - upload->sent;
    size_t some = size * count < left ? size * count : left;

    memcpy(buffer, upload->letter->message + upload->sent, some);
    upload->sent += some;
    return some;
}

static void set_options(struct mail *mail, CURL *curl, struct upload *upload,
                        struct curl_slist *recipients)
{
    curl_easy_setopt(curl, CURLOPT_URL, mail->smtp_url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL, mail->use_ssl);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)MAIL_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mail->from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_upload);
    curl_easy_setopt(curl, CURLOPT_READDATA, upload);
    if (mail->user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, mail->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, mail->password);
    }
}

enum sent { SENT, SENT_LATER, SENT_NEVER };

static enum sent send_once(struct mail *mail, const struct letter *letter)
{
    struct upload upload = {.letter = letter};
    struct curl_slist *recipients = curl_slist_append(NULL, letter->to);
    CURL *curl = curl_easy_init();
    enum sent sent = SENT_LATER;
    long answer = 0;

    if (curl && recipients) {
        CURLcode code;
        set_options(mail, curl, &upload, recipients);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
        if (code == CURLE_OK)
            sent = SENT;
        else if (answer >= 500) /* RFC 5321, section 4.2.1: permanent */
            sent = SENT_NEVER;
    }
    curl_slist_free_all(recipients);
    curl_easy_cleanup(curl);
    return sent;
}

/* Waits between two tries; closing cuts it short. With the lock held. */
static void pause_for(struct mail *mail, time_t seconds)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    while (!mail->closing)
        if (pthread_cond_timedwait(&mail->changed, &mail->lock, &until) == ETIMEDOUT)
            return;
}

static bool send_letter(struct mail *mail, const struct letter *letter)
{
    enum sent sent = SENT_LATER;
    time_t pause_s = RETRY_FIRST_S;

    for (int tries = 0; tries < MAIL_TRIES_MAX && sent == SENT_LATER; tries++) {
        bool closing;
        pthread_mutex_lock(&mail->lock);
        if (tries > 0) {
            pause_for(mail, pause_s);
            pause_s *= 2;
        }
        closing = mail->closing;
        pthread_mutex_unlock(&mail->lock);
        if (closing && tries > 0)
            break;
        sent = send_once(mail, letter);
    }
    if (sent == SENT_NEVER)
        complain(mail, "mail: the server refused a letter");
    else if (sent == SENT_LATER)
        complain(mail, "mail: the server cannot be reached; a letter was given up");
    return sent != SENT_LATER;
}

static void *run(void *argument)
{
    struct mail *mail = argument;
    bool reachable = true;

    pthread_mutex_lock(&mail->lock);
    for (;;) {
        struct letter *letter;
        bool closing;

        while (!mail->first && !mail->closing)
            pthread_cond_wait(&mail->changed, &mail->lock);
        if (!mail->first)
            break;
        letter = mail->first;
        mail->first = letter->next;
        if (!mail->first)
            mail->last = &mail->first;
        closing = mail->closing;
        pthread_mutex_unlock(&mail->lock);
        if (reachable || !closing) /* the end does not wait for each of 64 in turn */
            reachable = send_letter(mail, letter);
        letter_free(letter);
        pthread_mutex_lock(&mail->lock);
        mail->count--;
        pthread_cond_broadcast(&mail->changed);
    }
    pthread_mutex_unlock(&mail->lock);
    return NULL;
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

static int prepare_server(struct mail *mail, const struct mail_settings *settings)
{
    const char *url = settings->smtp_url;
    bool sealed = starts_with(url, "smtps://");

    if ((!sealed && !starts_with(url, "smtp://")) || !is_one_line(url, 1024))
        return GATE_FAULT_CONFIG;
    if (!is_one_line(mail->from, ADDRESS_MAX_BYTES) || strpbrk(mail->from, "<> ,;"))
        return GATE_FAULT_CONFIG;
    mail->smtp_url = copy_of(url);
    mail->use_ssl = sealed || !settings->smtp_in_clear ? CURLUSESSL_ALL : CURLUSESSL_TRY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return GATE_FAULT_MAIL;
    if (settings->credentials_path)
        return read_credentials(mail, settings->credentials_path);
    return 0;
}

static void mail_free(struct mail *mail)
{
    if (mail->password)
        sodium_memzero(mail->password, strlen(mail->password));
    memory_give_back(mail->folder);
    memory_give_back(mail->smtp_url);
    memory_give_back(mail->from);
    memory_give_back(mail->user);
    memory_give_back(mail->password);
    pthread_cond_destroy(&mail->changed);
    pthread_mutex_destroy(&mail->lock);
    memory_give_back(mail);
}

int mail_open(struct mail **opened, const struct mail_settings *settings,
              void (*trouble)(void *context, const char *text), void *context)
{
    struct mail *mail = memory_take(sizeof *mail);
    bool by_server = settings->smtp_url && settings->smtp_url[0];
    int fault = 0;

    mail->trouble = trouble;
    mail->context = context;
    mail->last = &mail->first;
    mail->from = copy_of(settings->from ? settings->from : "ducknode@localhost");
    pthread_mutex_init(&mail->lock, NULL);
    pthread_cond_init(&mail->changed, NULL);
    if (by_server) {
        fault = prepare_server(mail, settings);
    } else if (settings->folder) {
        mail->folder = copy_of(settings->folder);
        fault = see_to_folder(mail);
    } else {
        fault = GATE_FAULT_CONFIG;
    }
    if (!fault && by_server && pthread_create(&mail->thread, NULL, run, mail) != 0)
        fault = GATE_FAULT_THREAD;
    if (fault) {
        mail_free(mail);
        return fault;
    }
    *opened = mail;
    return 0;
}

void mail_close(struct mail *mail)
{
    if (!mail)
        return;
    pthread_mutex_lock(&mail->lock);
    mail->closing = true;
    pthread_cond_broadcast(&mail->changed);
    pthread_mutex_unlock(&mail->lock);
    if (mail->smtp_url)
        pthread_join(mail->thread, NULL);
    mail_free(mail);
}

static bool file_now(struct mail *mail, struct letter *letter)
{
    bool written = write_file(mail, letter);

    letter_free(letter);
    if (!written)
        complain(mail, "mail: a letter could not be written to the mail folder");
    return written;
}

bool mail_give(struct mail *mail, const struct mail_letter *given)
{
    struct letter *letter;
    bool taken;

    if (!is_letter(given))
        return false;
    letter = letter_new(mail, given);
    pthread_mutex_lock(&mail->lock);
    if (!mail->smtp_url) {
        taken = file_now(mail, letter);
    } else {
        taken = mail->count < MAIL_QUEUE_MAX && !mail->closing;
        if (taken) {
            *mail->last = letter;
            mail->last = &letter->next;
            mail->count++;
            pthread_cond_broadcast(&mail->changed);
        } else {
            letter_free(letter);
        }
    }
    pthread_mutex_unlock(&mail->lock);
    return taken;
}

void mail_flush(struct mail *mail)
{
    pthread_mutex_lock(&mail->lock);
    while (mail->count > 0)
        pthread_cond_wait(&mail->changed, &mail->lock);
    pthread_mutex_unlock(&mail->lock);
}
