#include "smtp.h"

#include <curl/curl.h>
#include <stdio.h>

struct upload {
    const struct smtp *smtp;
    struct bytes message;
    size_t sent;
};

static size_t read_upload(char *buffer, size_t size, size_t count, void *context)
{
    struct upload *upload = context;
    size_t left = upload->message.size - upload->sent;
    size_t some = size * count < left ? size * count : left;

    memcpy(buffer, upload->message.data + upload->sent, some);
    upload->sent += some;
    return some;
}

static int go_on(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct smtp *smtp = context;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return smtp->is_ending && smtp->is_ending(smtp->context);
}

static void set_options(CURL *curl, struct upload *upload, struct curl_slist *recipients)
{
    const struct smtp *smtp = upload->smtp;

    curl_easy_setopt(curl, CURLOPT_URL, smtp->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_USE_SSL,
                     (long)(smtp->in_clear_is_fine ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, SMTP_WITHIN_S);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, smtp->from);
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_upload);
    curl_easy_setopt(curl, CURLOPT_READDATA, upload);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, smtp);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    if (smtp->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, smtp->ca_file);
    if (smtp->user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, smtp->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, smtp->password);
    }
}

/* Before the letter is under way a 5xx is about it only when it answers MAIL, RCPT or DATA, which libcurl
 * calls a send error; one to the greeting or to the password is about the server, or about us. */
static enum smtp_verdict judge(CURLcode code, long answer, const struct upload *upload)
{
    bool is_about_the_letter = upload->sent > 0 || code == CURLE_SEND_ERROR;

    if (code == CURLE_OK)
        return SMTP_TAKEN;
    if (is_about_the_letter)
        return answer >= 500 ? SMTP_NEVER : SMTP_LATER;
    return SMTP_UNREACHABLE;
}

enum smtp_verdict smtp_send(const struct smtp *smtp, const char *to, struct bytes message,
                            char reason[SMTP_REASON_SIZE])
{
    struct upload upload = {.smtp = smtp, .message = message};
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long answer = 0;

    if (curl && recipients) {
        set_options(curl, &upload, recipients);
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    }
    curl_slist_free_all(recipients);
    curl_easy_cleanup(curl);
    snprintf(reason, SMTP_REASON_SIZE, "%s (%ld)", curl_easy_strerror(code), answer);
    return judge(code, answer, &upload);
}
