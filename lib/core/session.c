typedef int session_is_empty;
