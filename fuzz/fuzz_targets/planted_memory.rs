#![no_main]
hourseal_fuzz::target!(planted_memory);
