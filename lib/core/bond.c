typedef int bond_is_empty;
