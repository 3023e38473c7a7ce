"""Teaches the text path which colour belongs to whom, from captions alone: the first part of train_dit.py (--text-steps).

The read-outs of a whole run showed that the text path names both colours of a prompt but not their order: "turns red" and
"red ..., then turns" looked alike.  Here every row of the transformer's text embedder has to name its colour together with the role
of that colour (first subject, last colour, second subject), while the rows stay close to what they were.
"""
import copy
import itertools
import time

import torch

import clips
import dit_model
import world


def captions(tok, first, count, device):
    """Token ids [N,64] and attributes [N,n] of the captions of `count` chosen specs, one caption each."""
    part = list(itertools.islice(clips.chosen(first, 33), count))
    ids = tok([world.caption(s, s["seed"] * 16 + 9) for s in part])
    return ids.to(device), torch.tensor([clips.attributes(s) for s in part], device=device)


@torch.no_grad()
def accuracy(head, rows, want):
    """Share of right names among first colours, last colours and second subjects' colours."""
    got = head(rows).argmax(-1)
    return [round((got == want)[(want > 8 * r) & (want <= 8 * r + 8)].float().mean().item(), 3) for r in range(3)]


def spread_positions(enc, strength=6.0):
    """Four heads of the first layer start by looking at the words one and two places before and after, whatever these are.

    AdamW hardly moves the relative position biases from their start within a training, and beside the content of queries and keys
    they do not count.  Buckets: 0..15 for words before, 16..31 after, the first 8 of each exact."""
    attention = enc.encoder.block[0].layer[0].SelfAttention
    size = attention.key_value_proj_dim
    with torch.no_grad():
        for head, bucket in enumerate((1, 16 + 1, 2, 16 + 2)):
            attention.relative_attention_bias.weight[bucket, head] += strength
            attention.q.weight[head * size:(head + 1) * size] *= 0.02


def position_biases(enc):
    return [b.layer[0].SelfAttention.relative_attention_bias.weight for b in enc.encoder.block]


def teach(dit, enc, head, tok, device, steps, batch=256, lr=8e-4, keep=0.3, first=8_000_000, pool=20_000):
    """Trains `enc`, the transformer's text embedder and `head` (dit_model.RoleReadOut) in place.

    keep: weight of the rows' squared change, relative to their size."""
    t0 = time.time()
    roles, embedder = clips.ColourRoles(tok), dit.condition_embedder.text_embedder
    ids, attr = captions(tok, first, pool, device)
    test_ids, test_attr = captions(tok, 95_000_000, 256, device)
    ids, test_ids = ids[:, :48], test_ids[:, :48]                                # longer captions do not occur
    want, test_want = roles(ids, attr), roles(test_ids, test_attr)
    old, old_enc = copy.deepcopy(embedder).requires_grad_(False), copy.deepcopy(enc).requires_grad_(False)
    spread_positions(enc)
    biases = position_biases(enc)
    own = {id(p) for p in biases}
    params = [p for p in (*enc.parameters(), *embedder.parameters(), *head.parameters()) if id(p) not in own]
    opt = torch.optim.AdamW([{"params": params, "scale": 1}, {"params": biases, "scale": 30, "weight_decay": 0}], lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    params = params + biases
    for i in range(steps):
        for g in opt.param_groups:
            g["lr"] = g["scale"] * lr * min(1, (i + 1) / 40) * min(1, (steps - i) / (0.3 * steps))
        k = torch.randint(0, len(ids), (batch,), device=device)
        rows = embedder(dit_model.encode_text(enc, ids[k]))
        with torch.no_grad():
            before = old(dit_model.encode_text(old_enc, ids[k]))
        role = head.loss(rows, want[k], (ids[k] != 0).float())
        drift = ((rows - before) ** 2).mean() / (before ** 2).mean()
        (role + keep * drift).backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad()
        if (i + 1) % 100 == 0 or i + 1 == steps:
            with torch.no_grad():
                right = accuracy(head, embedder(dit_model.encode_text(enc, test_ids)), test_want)
            print(f"text step {i + 1} {time.time() - t0:.0f}s role {role.item():.4f} drift {drift.item():.4f} right {right}", flush=True)
