package main

// linkHelp stands in the help of every verb that plays onto a link.
const linkHelp = `What can happen on the link (--link), in words of tc-netem(8), all from the seed:

  delay 5ms [1ms [distribution normal] [overtake]]   and jitter
  reorder 25% [gap 5]        these go without their delay
  loss 1%                    each by itself
  loss gemodel 1% 20%        in bursts: begin, end [, loss in one, outside]
  duplicate 1%  corrupt 1%   twice; one bit turned over
  rate 100mbit [queue 64kb]  a slow line, and the queue before it
  limit 1000                 frames on the link at once

The words rx and tx begin what holds for frames to the NIC alone, and from it. The
bill of the machine begins behind the link; what was lost on it is counted apart.
`
