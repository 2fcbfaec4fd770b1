#![no_main]
hourseal_fuzz::target!(swept);
