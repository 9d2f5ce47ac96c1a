typedef int tray_is_empty;
