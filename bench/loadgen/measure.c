/* Clocks, the server's process and our own, and latencies. */
#include "loadgen.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Buckets 1/64 of a power of two wide: exact to 1.6 %, in memory that doesn't grow. */
enum { BUCKETS = 59 * 64 };
static uint64_t latencies[BUCKETS], longest, window_from, window_to;

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory) die("out of memory");
    return memory;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) die("no server process %d", option.pid);
    return t.tv_sec * SECOND + t.tv_nsec;
}

uint64_t nanoseconds(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double own_cpu_seconds(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID) * 1e-9;
}

/* All of the process's threads, those that have ended too. */
double server_cpu_seconds(void)
{
    clockid_t clock;
    if (clock_getcpuclockid(option.pid, &clock)) die("no server process %d", option.pid);
    return read_clock(clock) * 1e-9;
}

long server_memory(void)
{
    char path[64];
    long resident;
    snprintf(path, sizeof path, "/proc/%d/statm", option.pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %ld", &resident) != 1) die("can't read %s", path);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* What is due in the window counts, whenever it is answered: else the slowest answers would be left out. */
void open_window(uint64_t from, uint64_t to)
{
    window_from = from;
    window_to = to;
}

void record_latency(uint64_t due, uint64_t now)
{
    if (due < window_from || due >= window_to) return;
    /* An answer seen in the turn that began before its message was due took no time we could measure. */
    uint64_t ns = now > due ? now - due : 0;
    if (ns > longest) longest = ns;
    if (ns < 64) {
        latencies[ns]++;
        return;
    }
    int shift = 57 - __builtin_clzll(ns);
    latencies[shift * 64 + (ns >> shift)]++;
}

double latency_microseconds(double quantile)
{
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < BUCKETS; i++) all += latencies[i];
    for (int i = 0; i < BUCKETS && quantile < 1; i++) {
        seen += latencies[i];
        if (!seen || seen < quantile * all) continue;
        if (i < 64) return i / 1000.0;
        int shift = i / 64 - 1;
        return (i - shift * 64 + 0.5) * (double)(1ULL << shift) / 1000.0;
    }
    return longest / 1000.0;
}
