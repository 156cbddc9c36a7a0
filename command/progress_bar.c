/* SPDX-License-Identifier: MIT
 * progress_bar.c - see progress_bar.h. */
#include "command/progress_bar.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_CELLS 24
#define DRAW_EVERY_US (US_PER_SECOND / 10)

void progress_bar_init(struct progress_bar *bar)
{
    *bar = (struct progress_bar){.is_terminal = isatty(STDERR_FILENO) == 1};
}

static size_t terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

static void format_duration(int64_t seconds, char *text, size_t size)
{
    if (seconds < 3600)
        (void)snprintf(text, size, "%d:%02d", (int)(seconds / 60), (int)(seconds % 60));
    else
        (void)snprintf(text, size, "%d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                       (int)(seconds % 60));
}

void progress_bar_draw(struct progress_bar *bar, struct mono_time now, uint64_t done,
                       uint64_t total, const char *note)
{
    char line[512];
    char eta[32] = "-:--";
    char cells[BAR_CELLS + 1];
    int64_t elapsed_us = now.us - bar->started.us;
    uint64_t rate;
    size_t filled = total == 0 ? BAR_CELLS : (size_t)(done * BAR_CELLS / total);
    size_t columns;

    if (!bar->is_terminal || now.us < bar->next_draw.us)
        return;
    bar->next_draw = mono_add_us(now, DRAW_EVERY_US);
    rate = elapsed_us > 0 ? done * (uint64_t)US_PER_SECOND / (uint64_t)elapsed_us : 0;
    if (done > 0 && elapsed_us > 0)
        format_duration((int64_t)((total - done) * (uint64_t)elapsed_us / done / US_PER_SECOND),
                        eta, sizeof eta);
    memset(cells, '.', BAR_CELLS);
    memset(cells, '#', filled > BAR_CELLS ? BAR_CELLS : filled);
    cells[BAR_CELLS] = '\0';
    (void)snprintf(line, sizeof line, "[%s] %llu/%llu %3d%% %llu/s ETA %s %s", cells,
                   (unsigned long long)done, (unsigned long long)total,
                   total == 0 ? 100 : (int)(done * 100 / total), (unsigned long long)rate, eta,
                   note);
    columns = terminal_columns();
    if (strlen(line) >= columns)
        line[columns - 1] = '\0';
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    bar->is_drawn = true;
}

void progress_bar_clear(struct progress_bar *bar)
{
    if (!bar->is_drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar->is_drawn = false;
}
