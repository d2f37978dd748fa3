module side

go 1.19
