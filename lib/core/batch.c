typedef int batch_is_empty;
