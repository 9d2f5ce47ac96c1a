typedef int outbox_is_empty;
