typedef int dice_is_empty;
