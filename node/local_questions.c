typedef int local_questions_is_empty;
