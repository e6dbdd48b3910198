// All containers, in order of name: a file each, a row each.
CONTAINER(esm)
CONTAINER(falcon)
CONTAINER(gpt2)
CONTAINER(gpt_neox)
CONTAINER(megatron_bert)
