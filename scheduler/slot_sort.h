/* SPDX-License-Identifier: MIT
 *
 * slot_sort.h - put the slots of a run in order, in place and without memory.
 *
 * Layer: scheduler (pure), private to this folder.
 * Order: by phase, then by consent. A radix sort from the top byte (American flag, McIlroy and
 *        Bostic 1993): a million slots in some hundredths of a second, whatever their order.
 */
#ifndef REFRESHD_SCHEDULER_SLOT_SORT_H
#define REFRESHD_SCHEDULER_SLOT_SORT_H

#include "scheduler/core.h"

void slot_sort(struct slot *slots, uint32_t count);

#endif
